"""Many durations in little memory: each is kept to within 0.2 %, however many there are."""

from __future__ import annotations

import math
from collections.abc import Iterable

_BITS = 9  # digits, in base 2, that are kept of a duration


class Histogram:
    """Durations in seconds. Sum and largest are exact; percentiles are right to 0.2 %, or 0.1 µs."""

    __slots__ = ("count", "counts", "most", "total")

    def __init__(self, durations: Iterable[float] = ()) -> None:
        self.counts: dict[
            int, int
        ] = {}  # by the duration in units of 0.1 µs, shortened to the digits that are kept
        self.count = 0
        self.total = 0.0
        self.most = 0.0
        for duration in durations:
            self.record(duration)

    def record(self, seconds: float) -> None:
        """One more."""
        units = int(seconds * 1e7)
        if units > 511:
            shift = units.bit_length() - _BITS
            units = units >> shift << shift
        counts = self.counts
        counts[units] = counts.get(units, 0) + 1
        self.count += 1
        self.total += seconds
        if seconds > self.most:
            self.most = seconds

    def add(self, other: Histogram) -> None:
        """All that `other` has."""
        for units, count in other.counts.items():
            self.counts[units] = self.counts.get(units, 0) + count
        self.count += other.count
        self.total += other.total
        self.most = max(self.most, other.most)

    def copy(self) -> Histogram:
        """The same, which further durations do not change."""
        made = Histogram()
        made.add(self)
        return made

    def since(self, before: Histogram) -> Histogram:
        """What has come since `before`, a copy of an earlier time; `most` is that of all."""
        made = Histogram()
        made.counts = {
            units: count - before.counts.get(units, 0)
            for units, count in self.counts.items()
            if count > before.counts.get(units, 0)
        }
        made.count = self.count - before.count
        made.total = self.total - before.total
        made.most = self.most
        return made

    @property
    def mean(self) -> float:
        """Seconds; 0 where there is none."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, share: float) -> float:
        """Seconds that `share` (0 to 1) of the durations did not exceed; 0 where there is none."""
        return self.percentiles((share,))[0]

    def percentiles(self, shares: Iterable[float]) -> list[float]:
        """The same for several, smallest share first."""
        found: list[float] = []
        ordered = iter(sorted(self.counts.items()))
        units = seen = 0
        for share in shares:
            rank = max(1, math.ceil(share * self.count))
            while seen < rank and (step := next(ordered, None)) is not None:
                units, seen = step[0], seen + step[1]
            found.append(min(self.most, _middle(units)))
        return found


def _middle(units: int) -> float:
    """Seconds in the middle of those that were shortened to `units`."""
    width = 1 << max(0, units.bit_length() - _BITS)
    return (units + width / 2) / 1e7
