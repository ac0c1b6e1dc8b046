"""A server by formula: what is measured is known beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inference_server.tuning.choose import choose
from inference_server.tuning.facts import Budget, Configuration, Point
from inference_server.tuning.search import MOST_CALLERS, Limits, Result, Search, Steps, callers, doubled

MIB = 1024**2


def point(
    batch: int = 1,
    workers: int = 1,
    rate: float = 100.0,
    p99: float = 10.0,
    memory: int = 100 * MIB,
    callers: int = 1,
    rows: float = 0.0,
) -> Point:
    """A measurement, said in a line."""
    return Point(Configuration(workers, batch), callers, rate, p99 / 2, p99, memory, 40 * MIB, rows)


@dataclass(frozen=True)
class Formula:
    """A call costs `fixed` + rows × `each` milliseconds; workers share `processors`; nothing else takes time."""

    fixed: float
    each: float
    processors: int = 1
    worker_mib: int = 50
    merges: bool = True

    def point(self, configuration: Configuration, callers: int) -> Point:
        workers = configuration.workers
        slower = max(1.0, workers / self.processors)
        rows = min(configuration.batch, max(1, callers // workers)) if self.merges else 1
        call = (self.fixed + self.each * rows) * slower
        capacity = min(workers, callers) * rows / call * 1000
        wait = callers / capacity * 1000
        memory = (60 + self.worker_mib * workers) * MIB
        return Point(configuration, callers, capacity, wait, wait, memory, self.worker_mib * MIB, rows)

    def ladder(self, configuration: Configuration, budget: Budget) -> list[Point]:
        """As `callers` walks it."""
        points, steps = [], callers(configuration, budget)
        count = next(steps)
        while True:
            points.append(self.point(configuration, count))
            try:
                count = steps.send(points[-1])
            except StopIteration:
                return points

    def exhaustive(self, limits: Limits, budget: Budget) -> Point | None:
        """The choice when everything is measured."""
        return choose(
            [
                self.point(Configuration(workers, batch), count)
                for workers in doubled(limits.workers)
                for batch in doubled(limits.batch)
                for count in doubled(MOST_CALLERS)
            ],
            budget,
        )


@dataclass
class Walked:
    configurations: list[Configuration]
    points: list[Point]
    search: Search


def walk(formula: Formula, limits: Limits, budget: Budget) -> Walked:
    """A whole search."""
    search = Search(limits, budget)
    walked = Walked([], [], search)
    walked.configurations += _answered(search.steps(), formula, budget, walked.points)
    return walked


def _answered(steps: Steps, formula: Formula, budget: Budget, points: list[Point]) -> Iterator[Configuration]:
    try:
        configuration = next(steps)
        while True:
            yield configuration
            merges = formula.merges or configuration.batch == 1
            measured = formula.ladder(configuration, budget) if merges else []
            points += measured
            configuration = steps.send(Result(measured, merges))
    except StopIteration:
        return
