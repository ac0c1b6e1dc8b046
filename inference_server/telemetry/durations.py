"""A histogram that is filled many values at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from inference_server.telemetry.names import DURATION_BOUNDS

NOTED = 256  # values that are noted before they are counted; more of them leave the cache meanwhile


class Durations:
    """How often something took how long: one count per bound, one above them, and the sum.

    What is noted is counted later, many at a time: to sort hundreds and cut them at the bounds costs less
    than to find the place of each.
    """

    __slots__ = ("bounds", "counts", "note", "noted", "total")

    def __init__(self, bounds: tuple[float, ...] = DURATION_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.noted: list[float] = []
        self.note = self.noted.append  # one duration in seconds

    def add(self, values: Sequence[float], unit: float = 1.0) -> None:
        """Count `values`, each of them so many times `unit`."""
        if not values:
            return
        self.total += sum(values) * unit
        bounds = self.bounds if unit == 1.0 else tuple(bound / unit for bound in self.bounds)
        if max(values) <= bounds[0]:  # what most phases of most requests are
            self.counts[0] += len(values)
            return
        ordered = sorted(values)
        before = 0
        for place, bound in enumerate(bounds):
            at = bisect_right(ordered, bound)
            self.counts[place] += at - before
            before = at
        self.counts[-1] += len(ordered) - before

    def count(self) -> None:
        """Count what was noted since the last time."""
        self.add(self.noted)
        self.noted.clear()

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound."""
        self.count()
        cumulated, sum_ = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            sum_ += count
            cumulated.append((bound, float(sum_)))
        return cumulated
