"""Shares of the traffic: names of deployments, in lower case, and per cents. What gets nothing is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from inference_server.definitions.kinds import BAD, JSON, Kind, Whole, refuse
from inference_server.definitions.names import wrong_with_name
from inference_server.definitions.reading import Reading
from inference_server.definitions.tree import Node, Steps, Table

_SHARE = Whole(0, 100)


@dataclass(frozen=True)
class Shares(Kind):
    """`blue: 90`, one a line."""

    word: ClassVar[str] = "names and per cents"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        """A dict of the shares above 0; an empty one says that nobody gets anything."""
        if not isinstance(node, Table):
            return refuse(
                node, steps, reading, "names of deployments and per cents, one pair a line (blue: 100)"
            )
        shares: dict[str, int] = {}
        for name, item in node.items.items():
            at, lower = (*steps, name), name.lower()
            wrong = wrong_with_name(name)
            if lower in shares:
                wrong = f"stands here twice, case does not matter: keep one {lower}"
            if wrong:
                reading.problem(at, wrong)
                continue
            share = _SHARE.read(item, at, reading)
            if share is not BAD:
                shares[lower] = share
        return {name: share for name, share in shares.items() if share}

    def schema(self) -> JSON:
        return {"type": "object", "additionalProperties": _SHARE.schema()}

    def written(self, value: Any) -> Any:
        return dict(value)


def shares_of(text: str) -> dict[str, str]:
    """What stands after --traffic: `blue=90 green=10`, also with commas. Raises ValueError, which says what to write."""
    shares: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, equals, share = word.partition("=")
        if not equals or not name:
            raise ValueError(f"got {word!r}, write names and per cents such as blue=90 green=10")
        if name in shares:
            raise ValueError(f"got {name} twice, write each deployment once")
        shares[name] = share.removesuffix("%")
    return shares


def wrong_with_total(traffic: Mapping[str, int]) -> str:
    """What is wrong with all shares together; "": nothing."""
    total = sum(traffic.values())
    if total in (0, 100):
        return ""
    parts = " + ".join(f"{name} {share}" for name, share in traffic.items())
    return f"got {total} per cent ({parts}), write shares that make 100, or 0 for none"
