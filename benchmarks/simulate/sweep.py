"""Waits against taking all at once: over loads and kinds of arrivals, beside the best fixed wait that search finds."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.simulate.arrivals import Arrivals, bursts, poisson, steady
from benchmarks.simulate.engine import Plan, Simulation
from benchmarks.simulate.tables import Table, load
from inference_server.batching.wait import replay

MAX_ROWS = 64
LOADS = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)  # of what a worker can do at its best batch size
OVER = 1.5  # more than that: what comes out is the peak
COUNT = 30_000  # requests
BURST_COUNT = 120_000  # where they come in bursts: few of those make the 99th percentile
SKIPPED = 1_000  # of them, while everything is learned
WINDOWS = (
    0.0,
    0.05,
    0.1,
    0.2,
    0.35,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    3.0,
    5.0,
    8.0,
)  # searched; in run times of one row


def kinds(table: Table) -> dict[str, Arrivals]:
    """The arrivals by name. What is a tight burst depends on how fast the model is."""
    lone = table.seconds(1)
    return {
        "steady": steady,
        "Poisson": poisson,
        "tight bursts": bursts(0.02 * lone),
        "loose bursts": bursts(0.5 * lone),
    }


@dataclass(frozen=True)
class Times:
    """The mean and the 99th percentile, in seconds."""

    mean: float
    p99: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Times:
        ordered = sorted(times)
        return cls(sum(ordered) / len(ordered), ordered[int(0.99 * len(ordered))])


@dataclass(frozen=True)
class Point:
    """One load of one kind. `best` has the mean of one fixed wait and the p99 of another."""

    table: str
    kind: str
    load: float
    take_all: Times
    learned: Times
    best: Times
    best_window: float  # the one for the mean; in seconds
    learned_window: float  # at the end


def point(table_name: str, kind: str, share: float) -> Point:
    """Simulate one point by the code that serves; the search plays arrivals by the shorter rule that agrees with it.

    What is best is searched on other arrivals of the same kind: on the same ones a wait may be best by chance.
    """
    table = load(table_name)
    count = BURST_COUNT if "bursts" in kind else COUNT
    arrivals, others = (kinds(table)[kind](share * table.capacity(MAX_ROWS), count, seed) for seed in (1, 2))
    seconds = [0.0, *(table.seconds(rows) for rows in range(1, MAX_ROWS + 1))]

    def times(arrivals: list[float], window: float) -> Times:
        return Times.of(replay(arrivals, window * seconds[1], MAX_ROWS, seconds)[SKIPPED:])

    searched = {window: times(others, window) for window in WINDOWS}
    best_mean = min(WINDOWS, key=lambda window: searched[window].mean)
    best_p99 = min(WINDOWS, key=lambda window: searched[window].p99)
    take_all = Simulation(Plan(table, MAX_ROWS)).run(arrivals)
    learned = Simulation(Plan(table, MAX_ROWS, learned=True)).run(arrivals)
    return Point(
        table_name,
        kind,
        share,
        Times.of(take_all.latencies[SKIPPED:]),
        Times.of(learned.latencies[SKIPPED:]),
        Times(times(arrivals, best_mean).mean, times(arrivals, best_p99).p99),
        best_mean * seconds[1],
        learned.delay,
    )


@dataclass(frozen=True)
class Peak:
    """Answers a second when more comes than can be done."""

    table: str
    take_all: float
    learned: float
    best: float


def peak(table_name: str) -> Peak:
    """The most that comes out of one worker."""
    table = load(table_name)
    arrivals = poisson(OVER * table.capacity(MAX_ROWS), COUNT, 1)
    seconds = [0.0, *(table.seconds(rows) for rows in range(1, MAX_ROWS + 1))]
    ends = []
    for window in WINDOWS:
        times = replay(arrivals, window * seconds[1], MAX_ROWS, seconds)
        ends.append(max(arrived + time for arrived, time in zip(arrivals, times, strict=True)))
    return Peak(
        table_name,
        Simulation(Plan(table, MAX_ROWS)).run(arrivals).rate,
        Simulation(Plan(table, MAX_ROWS, learned=True)).run(arrivals).rate,
        COUNT / min(ends),
    )


def sweep(tables: Sequence[str], processes: int) -> tuple[list[Point], list[Peak]]:
    """All points and peaks."""
    places = [(name, kind, share) for name in tables for kind in kinds(load(name)) for share in LOADS]
    with ProcessPoolExecutor(processes) as pool:
        points = pool.map(point, *zip(*places, strict=True))
        peaks = pool.map(peak, tables)
        return list(points), list(peaks)
