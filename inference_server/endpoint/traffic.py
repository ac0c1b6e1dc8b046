"""Traffic: which share of the requests each deployment gets, and in which order they come to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import gcd

from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.shares import WHOLE, checked_shares, parse_shares

OPTION = "--traffic"
MOST_OWED = 1.0  # requests kept in mind from one table to the next, beside what its order makes good


@dataclass(frozen=True)
class Traffic:
    """Per cent by deployment: 100 together, or nothing at all. Names are in lower case, and none has 0."""

    shares: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, shares: Mapping[str, int]) -> Traffic:
        """Raises BadArgument when the shares are neither 100 nor 0 together, or one is no percentage."""
        checked = checked_shares(OPTION, shares)
        total = sum(checked.values())
        if total not in (0, WHOLE):
            shown = " + ".join(str(percent) for percent in checked.values())
            raise BadArgument(f"{OPTION}: the shares must be 100 together, or 0 to stop: {shown} is {total}")
        return cls({name: percent for name, percent in checked.items() if percent})

    @classmethod
    def parse(cls, text: str | Iterable[str]) -> Traffic:
        """`blue=90 green=10`. Raises BadArgument."""
        return cls.of(parse_shares(OPTION, text))

    def of_all(self, names: Iterable[str]) -> dict[str, int]:
        """The share of each of these deployments, 0 where it has none."""
        return {name: self.shares.get(name, 0) for name in names}


def order(shares: Mapping[str, int]) -> tuple[str, ...]:
    """Who gets the first request, the second, …; after the last one it begins again.

    Of any 100 in a row each deployment gets exactly its share, since the length divides 100. After any number of
    requests from the beginning each has had its share of them, rounded up or down: the next goes to whoever may
    have one by that rule and would reach its following one soonest (Balinski and Young's quota method).
    """
    if not shares:
        return ()
    unit = gcd(*shares.values())
    weights = {name: share // unit for name, share in shares.items()}
    length = sum(weights.values())
    had = dict.fromkeys(weights, 0)
    sequence = []
    for turn in range(1, length + 1):
        name = min(
            (name for name in weights if had[name] * length < turn * weights[name]),
            key=lambda name: ((had[name] + 1) / weights[name], -weights[name], name),
        )
        had[name] += 1
        sequence.append(name)
    return tuple(sequence)


class Turns:
    """Whose turn it is, in an order that is gone through again and again.

    A table may be changed at any moment, as often as one likes: the new order is begun at the place where each
    deployment is owed what it was owed `before`, as nearly as that goes, and what it differs by is kept. Begun at
    its first place each time, a table changed every few requests would leave the small shares with nothing.
    """

    def __init__(self, shares: Mapping[str, int], before: Turns | None = None) -> None:
        self.sequence = order(shares)
        self.shares = dict(shares)
        owed = before.owed() if before is not None else {}
        self._at = self._nearest(owed)
        here = self._owed_at(self._at)
        self._beside = {
            name: min(MOST_OWED, max(-MOST_OWED, owed.get(name, 0.0) - here[name])) for name in here
        }

    def next(self) -> str:
        """Whose turn it is; to be asked only where somebody has a share."""
        name = self.sequence[self._at]
        self._at = (self._at + 1) % len(self.sequence)
        return name

    def owed(self) -> dict[str, float]:
        """Requests that each deployment should have had by its share and has not; below 0: it is ahead."""
        return {name: owed + self._beside[name] for name, owed in self._owed_at(self._at).items()}

    def _owed_at(self, at: int) -> dict[str, float]:
        gone = self.sequence[:at]
        return {name: at * share / WHOLE - gone.count(name) for name, share in self.shares.items()}

    def _nearest(self, owed: Mapping[str, float]) -> int:
        def apart(at: int) -> float:
            here = self._owed_at(at)
            return sum((here[name] - owed.get(name, 0.0)) ** 2 for name in here)

        return min(range(len(self.sequence)), key=apart, default=0)
