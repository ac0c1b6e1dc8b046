"""What faulty requests cost the good ones: our way to take a failed batch apart, beside the best plan there is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.limits import split_plan
from benchmarks.simulate.tables import Table, load
from inference_server.scoring.batching.cuts import Cuts
from inference_server.scoring.batching.poison import Parts

BATCH = 32
RATE = 0.01  # of all requests are faulty, independently of each other
RAISES = {"late": 1.0, "halfway": 0.5, "early": 0.05}  # share of a whole run() that passes until it raises
BATCHES = 20_000


@dataclass(frozen=True)
class Cost:
    """Seconds of the worker for each good request, all told: decoding, run() calls, encoding."""

    table: str
    raises: str
    clean: float  # without a faulty request
    best: float
    ours: float
    halves: float  # ours, cut in the middle always


def cost(table_name: str, raises: str) -> Cost:
    """One table, one kind of raise."""
    table, share = load(table_name), RAISES[raises]
    beside = table.seconds(BATCH) - table.run_seconds(BATCH)  # decoding and encoding, once for each request
    good = BATCH * (1 - RATE)
    cuts = Cuts()
    return Cost(
        table_name,
        raises,
        table.seconds(BATCH) / BATCH,
        (beside + best_plan(table, share)) / good,
        (beside + mean_seconds(table, share, cuts, cuts.first)) / good,
        (beside + mean_seconds(table, share, Cuts(), lambda count: count // 2)) / good,
    )


def mean_seconds(table: Table, share: float, cuts: Cuts, first: Callable[[int], int]) -> float:
    """Seconds of run() for a batch in the mean, by the code that serves; it learns as it goes."""
    chance = random.Random(1)
    spent = 0.0

    def run(faulty: list[bool]) -> bool:
        nonlocal spent
        seconds = table.run_seconds(len(faulty))
        if any(faulty):
            spent += share * seconds
            cuts.raised(len(faulty), share * seconds)
        else:
            spent += seconds
            cuts.ran(len(faulty), seconds)
        return not any(faulty)

    for _ in range(BATCHES):
        batch = [chance.random() < RATE for _ in range(BATCH)]
        if run(batch):
            continue
        parts = Parts(BATCH, first)
        while (part := parts.next()) is not None:
            parts.told(run(batch[part[0] : part[1]]))
    return spent / BATCHES


def best_plan(table: Table, share: float) -> float:
    """Seconds of run() for BATCH requests under the best plan, which knows the rate of faults; see limits/split_plan.py."""
    passes = table.run_seconds
    return split_plan.best(BATCH, RATE, passes, lambda rows: share * passes(rows)) * BATCH * (1 - RATE)
