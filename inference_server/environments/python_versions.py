"""Which Pythons a definition allows, told by their first two numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

Minor = tuple[int, int]
OLDEST: Minor = (3, 8)  # the oldest that a worker runs on

_CLAUSE = re.compile(r"(===?|~=|!=|<=|>=|<|>|=)?\s*(\d+)(?:\.(\d+|\*))?(?:\.(\d+|\*)\S*)?(\.\*)?")


@dataclass(frozen=True)
class Wanted:
    """A range of Pythons. `text` is how it was written; "" allows any that a worker runs on."""

    text: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a text that names no versions."""
        for clause in self._clauses():
            if _CLAUSE.fullmatch(clause) is None:
                raise ValueError(f"{self.text!r} is no range of Python versions, as in 3.9 or >=3.9,<3.12")

    def allows(self, minor: Minor) -> bool:
        """Whether some release of that Python is in the range."""
        return minor >= OLDEST and all(_allows(clause, minor) for clause in self._clauses())

    @property
    def exact(self) -> Minor | None:
        """The one that it names; None: there are several."""
        for clause in self._clauses():
            match = _CLAUSE.fullmatch(clause)
            if match and match[1] in (None, "=", "==", "===") and match[3] and match[3] != "*":
                return int(match[2]), int(match[3])
        return None

    def _clauses(self) -> list[str]:
        return [clause.strip() for clause in self.text.split(",") if clause.strip()]


def _allows(clause: str, minor: Minor) -> bool:
    match = _CLAUSE.fullmatch(clause)
    assert match is not None  # or the range could not have been made
    op, major, second, third = match[1] or "==", int(match[2]), match[3], match[4]
    if second in (None, "*"):
        first = (minor[0] > major) - (minor[0] < major)
        return {">": first > 0, ">=": first >= 0, "<": first < 0, "<=": first <= 0, "!=": first != 0}.get(
            op, first == 0
        )
    there = (major, int(second))
    if op in ("==", "=", "==="):
        return minor == there
    if op == "!=":
        return minor != there or third not in (None, "*")
    if op == "~=":
        return minor == there if third else minor[0] == major and minor >= there
    if op == ">":
        return minor > there or (third is not None and minor == there)
    if op == "<":
        return minor < there or (third not in (None, "0") and minor == there)
    return minor >= there if op == ">=" else minor <= there


def shown(minor: Minor) -> str:
    """As people write it."""
    return f"{minor[0]}.{minor[1]}"
