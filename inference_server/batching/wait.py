"""The wait that pays: learned by playing recent arrivals again under other waits. No I/O, time handed in.

With one executor a wait cannot raise the peak, and at steady or random arrivals it gains nothing. But where
requests come in tight bursts to an idle worker, the first of them is run alone and all others wait behind it:
there a moment's wait serves the whole burst in one call (benchmarks/SIMULATION.md has the figures).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heapreplace

KEPT = 256  # arrivals that are played again
SHARES = (0.1, 0.2, 0.35, 0.5, 1.0)  # the waits that are tried, in run times of a lone request
EVERY = 0.05  # seconds between trials; one takes a fraction of a millisecond
SMOOTHING = 0.25
ENOUGH = 0.98  # of the mean time without a wait: a wait must get below this


def replay(
    arrivals: Sequence[float], delay: float, most: int, seconds: Sequence[float], workers: int = 1
) -> list[float]:
    """How long each request would have taken, had the first of each batch waited `delay` seconds.

    A batch has at most `most` requests and leaves earlier when it is full; `seconds[count]` is what it takes.
    """
    free = [arrivals[0]] * workers
    times: list[float] = []
    count = len(arrivals)
    first = 0
    while first < count:
        start = max(free[0], arrivals[first] + delay)
        last = first + most - 1
        if last < count and arrivals[last] < start:
            start = max(free[0], arrivals[last])
        end = bisect_right(arrivals, start, first, min(count, first + most))
        done = start + seconds[end - first]
        times.extend([done - arrived for arrived in arrivals[first:end]])
        heapreplace(free, done)
        first = end
    return times


class Wait:
    """How long the oldest request is to wait for others: `delay`, in seconds; 0.0 wherever none pays.

    One of SHARES is tried at a time, and what it does to the mean is remembered. So a lone request waits only
    where waits have paid on the requests just before it.
    """

    def __init__(self, max_rows: int, seconds: Callable[[float], float]) -> None:
        """A batch has up to `max_rows` rows, and `seconds` predicts what so many take."""
        self.delay = 0.0
        self._max_rows = max_rows
        self._seconds = seconds
        self._arrivals: deque[float] = deque(maxlen=KEPT)
        self._new = 0
        self._tried_at = 0.0
        self._next = 0
        self._scores = [1.0] * len(SHARES)

    def arrived(self, at: float) -> None:
        """A request came (monotonic seconds)."""
        self._arrivals.append(at)
        self._new += 1

    def learn(self, now: float, rows: float = 1.0, workers: int = 1) -> None:
        """Try one wait, if it is time to; requests have `rows` rows in the mean. To be called now and then."""
        if now - self._tried_at < EVERY or self._new < KEPT // 4 or len(self._arrivals) < KEPT:
            return
        lone = self._seconds(rows)
        if not lone:
            return  # no batch has been seen
        self._tried_at = now
        self._new = 0
        most = min(KEPT, max(1, int(self._max_rows / rows)))
        times = [0.0, *(self._seconds(rows * count) for count in range(1, most + 1))]
        arrivals = sorted(self._arrivals)
        tried = self._next
        self._next = (tried + 1) % len(SHARES)
        without = sum(replay(arrivals, 0.0, most, times, workers))
        waited = sum(replay(arrivals, SHARES[tried] * lone, most, times, workers))
        self._scores[tried] += SMOOTHING * (waited / without - self._scores[tried])
        best = min(range(len(SHARES)), key=self._scores.__getitem__)
        self.delay = SHARES[best] * lone if self._scores[best] < ENOUGH else 0.0
