"""One reading of one definition: its problems, its notes, and what cannot run here, each with the place it stands at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inference_server.definitions.errors import Remark
from inference_server.definitions.tree import Node, Place, Scalar, Steps, is_null, places, spelled
from inference_server.definitions.yaml_file import PLACEHOLDER

_IN_BRACKETS = re.compile(r"<[A-Z][A-Z0-9_-]*>")
_LONGEST_SHOWN = 60  # characters of a value in a message


@dataclass
class Reading:
    """What the fields say while they are read. `folder`: where relative paths start from."""

    source: str
    folder: Path
    checks_paths: bool = True  # whether files that are named must be there
    complete: bool = True  # whether fields that every definition needs must be there
    has_set: bool = True  # whether --set can help
    problems: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    refusals: list[Remark] = field(default_factory=list)
    places: dict[Steps, Place] = field(default_factory=dict)
    template: str = ""  # the filled copy of this file, if there is one
    given: set[Steps] = field(default_factory=set)  # fields that say something
    elsewhere: Mapping[str, str] = field(
        default_factory=dict
    )  # fields that belong to another place, and where
    _wrong: set[Steps] = field(default_factory=set)

    def of(self, root: Node) -> None:
        """Learn where everything stands."""
        self.places.update(places(root))
        self.places.setdefault((), root.place)

    def also(self, written: Steps, meant: Steps) -> None:
        """A field that is written by another of its names stands at the same place."""
        for steps, place in list(self.places.items()):
            if steps[: len(written)] == written:
                self.places[meant + steps[len(written) :]] = place

    def problem(self, steps: Steps, message: str) -> None:
        """What makes the definition useless."""
        self._wrong.add(steps)
        self.problems.append(self._remark(steps, message))

    def note(self, steps: Steps, message: str) -> None:
        """What a person should know."""
        self.notes.append(self._remark(steps, message))

    def refusal(self, steps: Steps, message: str) -> None:
        """What keeps the definition from running on this machine; elsewhere it may be right."""
        self.refusals.append(self._remark(steps, message))

    def sound(self, *fields: str) -> bool:
        """Whether none of these top-level fields has a problem: then rules across fields may look at them."""
        return not any(steps and steps[0] in fields for steps in self._wrong)

    def has(self, *steps: str | int) -> bool:
        """Whether a field is given."""
        return steps in self.given

    def text(self, node: Scalar, steps: Steps, free: bool = False) -> str | None:
        """The text of a scalar; None, with a problem, for a placeholder that was never filled in.

        `free`: anything may stand there, so that only a `{{NAME}}` that is all of the text counts.
        """
        if free:
            found = PLACEHOLDER.fullmatch(node.text.strip())
        else:
            found = PLACEHOLDER.search(node.text) or _IN_BRACKETS.search(node.text)
        if found is None:
            return node.text
        last = next((str(step) for step in reversed(steps) if isinstance(step, str)), "it")
        hint = f", or --set {spelled(steps)}=…" if self.has_set else ""
        if self.template:
            hint = f" ({self.template} beside it has none)"
        self.problem(steps, f"{found[0]} is a placeholder, write the {last} it stands for{hint}")
        return None

    def _remark(self, steps: Steps, message: str) -> Remark:
        return remark(self.places, self.source, steps, message)


def remark(places: Mapping[Steps, Place], source: str, steps: Steps, message: str) -> Remark:
    """A sentence about a field, at its place, or at that of what it would stand in."""
    at = steps
    while at and at not in places:
        at = at[:-1]
    place = places[at] if at else Place(source)
    return Remark(str(place), spelled(steps), message, place.line)


def shown(text: object) -> str:
    """A value in a message: quoted, on one line, not too long."""
    plain = repr(text)
    return plain if len(plain) <= _LONGEST_SHOWN else f"{plain[: _LONGEST_SHOWN - 1]}…"


def described(node: Node) -> str:
    """What stands there, in a message."""
    if isinstance(node, Scalar):
        return "nothing" if is_null(node) else shown(node.text)
    return "names and values" if hasattr(node, "names") else "a list"


def spelled_choices(names: Mapping[str, object] | tuple[str, ...]) -> str:
    """`a, b or c`."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
