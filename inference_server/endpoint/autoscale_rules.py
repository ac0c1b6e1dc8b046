"""Autoscale rules as Azure Monitor writes them: `CpuUtilizationPercentage > 70 avg 5m`, and then `out 2`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from inference_server.endpoint.errors import BadArgument

COOLDOWN = 300.0  # seconds, Azure's
LONGEST_WINDOW = 12 * 3600.0  # seconds, Azure's
SHORTEST_WINDOW = 60.0
EXAMPLE = "CpuUtilizationPercentage > 70 avg 5m"
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
AGGREGATIONS = ("avg", "min", "max", "total", "count")
_CONDITION = re.compile(
    r"(?P<metric>\w+)\s*(?P<operator>[=!<>]+)\s*(?P<threshold>\S+)\s+(?P<aggregation>[a-z]+)\s+(?P<window>\S+)",
    re.ASCII,
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_PERIOD = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_CHANGE = re.compile(r"(out|in|to)\s+(\d+)", re.ASCII)


class Condition(NamedTuple):
    """What is read, and when it asks for a change."""

    metric: str
    operator: str
    threshold: float
    aggregation: str  # over the window: avg, min, max, total or count
    window: float  # seconds

    def holds(self, value: float) -> bool:
        return _OPERATORS[self.operator](value, self.threshold)

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.threshold:g} {self.aggregation} {_period(self.window)}"


class Change(NamedTuple):
    """`out 2`, `in 1` or `to 5`."""

    direction: str
    number: int

    def applied(self, instances: int) -> int:
        """How many instances there are to be; it may be none, and more than is allowed."""
        if self.direction == "to":
            return self.number
        return instances + self.number if self.direction == "out" else max(0, instances - self.number)

    def __str__(self) -> str:
        return f"{self.direction} {self.number}"


@dataclass(frozen=True)
class Rule:
    """When the condition holds, the change is made; not within `cooldown` seconds of the one before."""

    condition: Condition
    change: Change
    cooldown: float = COOLDOWN

    @classmethod
    def parse(cls, condition: str, change: str, cooldown: float = COOLDOWN) -> Rule:
        """From the words after `--condition` and `--scale`. Raises BadArgument."""
        if cooldown < 0:
            raise BadArgument(f"--cooldown: {cooldown:g} s is less than none")
        return cls(parse_condition(condition), parse_change(change), cooldown)


def parse_condition(text: str) -> Condition:
    """Raises BadArgument."""
    words = " ".join(text.split())
    if " where " in f"{words} ":
        raise BadArgument(f"--condition: {words}: dimensions (where …) are not supported: leave them out")
    match = _CONDITION.fullmatch(words)
    if match is None:
        raise BadArgument(
            f'--condition: {words!r} is none: write METRIC OPERATOR NUMBER {"|".join(AGGREGATIONS)} PERIOD, as in "{EXAMPLE}"'
        )
    if match["operator"] not in _OPERATORS:
        raise BadArgument(
            f"--condition: {match['operator']} is no operator: use one of {' '.join(_OPERATORS)}"
        )
    if not _NUMBER.fullmatch(match["threshold"]):
        raise BadArgument(f"--condition: {match['threshold']!r} is no number")
    if match["aggregation"] not in AGGREGATIONS:
        raise BadArgument(f"--condition: {match['aggregation']} is none of {', '.join(AGGREGATIONS)}")
    window = parse_period("--condition", match["window"])
    if not SHORTEST_WINDOW <= window <= LONGEST_WINDOW:
        raise BadArgument(
            f"--condition: {match['window']} is not between {_period(SHORTEST_WINDOW)} and {_period(LONGEST_WINDOW)}"
        )
    return Condition(
        match["metric"], match["operator"], float(match["threshold"]), match["aggregation"], window
    )


def parse_change(text: str) -> Change:
    """Raises BadArgument."""
    match = _CHANGE.fullmatch(text.strip())
    if match is None or (match[1] != "to" and not int(match[2])):
        raise BadArgument(f"--scale: {text!r} is no change: write out 2, in 1 or to 5")
    return Change(match[1], int(match[2]))


def parse_period(option: str, text: str) -> float:
    """Seconds of `5m`, `1h30m`, `90s`. Raises BadArgument."""
    match = _PERIOD.fullmatch(text)
    if match is None or not text:
        raise BadArgument(f"{option}: {text!r} is no period: write 5m, 1h30m or 90s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _period(seconds: float) -> str:
    whole = int(seconds)
    parts = (whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
