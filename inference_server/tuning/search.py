"""What to measure next. Pure: a result is sent in for each configuration that comes out.

Not every pair of batch size and number of workers is tried. Batch sizes are doubled with one worker until larger ones
stop paying; then workers are doubled from the best of these, and for each number of workers the batch sizes beside
the best one are tried too, as what is best for one worker need not be best for many that share the processors. In the
end the best batch is tried with fewer workers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from inference_server.tuning.choose import choose
from inference_server.tuning.facts import Budget, Configuration, Point

PAYS = 0.02  # more requests a second, at least, for a larger batch to be called better
WORKER_PAYS = 0.05  # the same for more workers
# Batch sizes in turn that do not pay before larger ones are left out. One or two may be worse than none where 8 is
# better: libraries multiply one row, and a few, by other means than many.
MISSES = 3
CALLERS_PAY = 0.05
MOST_CALLERS = 512


@dataclass(frozen=True)
class Result:
    """What became of one configuration."""

    points: Sequence[Point]
    merges: bool = (
        True  # False: its requests do not share calls, so larger batches are the same configuration
    )


@dataclass(frozen=True)
class Limits:
    """Where the search ends."""

    batch: int
    workers: int


Steps = Generator[Configuration, Result, None]


def doubled(most: int) -> list[int]:
    """1, 2, 4, … and `most` itself."""
    sizes = [1]
    while sizes[-1] * 2 <= most:
        sizes.append(sizes[-1] * 2)
    return sizes if sizes[-1] == most else [*sizes, most]


class Search:
    """One search; `steps` gives the configurations to measure, and each is answered with its Result."""

    def __init__(self, limits: Limits, budget: Budget) -> None:
        self.skipped: tuple[Configuration, int] | None = None  # would need more bytes than allowed: so many
        self._batches = doubled(limits.batch)
        self._workers = doubled(limits.workers)
        self._budget = budget
        self._best: dict[Configuration, Point | None] = {}  # None: nothing within the budgets
        self._merges = True

    def steps(self) -> Steps:
        yield from self._grow_batches()
        yield from self._grow_workers()
        leader = self._leader()
        if leader is not None and leader.configuration.workers > 1:
            # what is best for many workers may have made them needless
            fewer = max(size for size in self._workers if size < leader.configuration.workers)
            yield from self._measure(Configuration(fewer, leader.configuration.batch))

    def _grow_batches(self) -> Steps:
        misses, most = 0, 0.0
        for batch in self._batches:
            configuration = Configuration(1, batch)
            yield from self._measure(configuration)
            if not self._merges:
                return
            rate = self._rate(configuration)
            misses = 0 if rate > most * (1 + PAYS) else misses + 1
            most = max(most, rate)
            if misses == MISSES:
                return

    def _grow_workers(self) -> Steps:
        leader = self._leader()
        for workers in self._workers[1:]:
            if leader is None or not self._fits(leader, workers):
                return  # more workers on the same processors answer no single request sooner
            yield from self._try_around(workers, leader.configuration.batch)
            before, leader = leader.rate, self._leader()
            if leader is None or leader.rate < before * (1 + WORKER_PAYS):
                return

    def _try_around(self, workers: int, batch: int) -> Steps:
        """Measure `batch` and, as long as they are better, its neighbours down and up."""
        yield from self._measure(Configuration(workers, batch))
        for sizes in (reversed(self._below(batch)), iter(self._above(batch))):
            yield from self._follow(workers, batch, sizes)

    def _follow(self, workers: int, batch: int, sizes: Iterator[int]) -> Steps:
        rate = self._rate(Configuration(workers, batch))
        for size in sizes:
            configuration = Configuration(workers, size)
            yield from self._measure(configuration)
            if self._rate(configuration) <= rate * (1 + PAYS):
                return
            rate = self._rate(configuration)

    def _below(self, batch: int) -> list[int]:
        return [size for size in self._batches if size < batch]

    def _above(self, batch: int) -> list[int]:
        return [size for size in self._batches if size > batch] if self._merges else []

    def _measure(self, configuration: Configuration) -> Steps:
        if configuration in self._best:
            return
        result = yield configuration
        self._best[configuration] = choose(result.points, self._budget)
        if configuration.batch > 1 and not result.merges:
            self._merges = False
            # a script that is refused once is refused for good, whatever a smaller batch seemed to do
            self._best.update({one: None for one in self._best if one.batch > 1})

    def _fits(self, leader: Point, workers: int) -> bool:
        """Whether so many workers would probably keep to the memory budget, each new one as large as the largest."""
        one = leader.configuration
        expected = leader.memory + leader.worker_memory * (workers - one.workers)
        if self._budget.in_memory(expected):
            return True
        self.skipped = (Configuration(workers, one.batch), expected)
        return False

    def _leader(self) -> Point | None:
        return choose([point for point in self._best.values() if point], self._budget)

    def _rate(self, configuration: Configuration) -> float:
        point = self._best.get(configuration)
        return point.rate if point else 0.0


def callers(configuration: Configuration, budget: Budget) -> Generator[int, Point, None]:
    """How many callers to load `configuration` with; each is answered with its Point.

    It begins with as many as fill a batch for each worker. While they are answered in time the number is doubled, as
    long as that pays; else it is halved until they are.
    """
    start = min(
        MOST_CALLERS, configuration.workers * configuration.batch * (2 if configuration.batch == 1 else 1)
    )
    point = yield start
    if not budget.in_time(point):
        while start > 1 and not budget.in_time(point):
            start //= 2
            point = yield start
        return
    rate = 0.0
    while budget.in_time(point) and point.rate > rate * (1 + CALLERS_PAY) and start < MOST_CALLERS:
        rate, start = point.rate, start * 2
        point = yield start
