"""What faulty requests cost the good ones: our way to take a failed batch apart, beside the best plan there is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

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
    """Seconds of run() for BATCH requests under the best plan, by dynamic programming.

    The plans: take some of those of which nothing is known and run them; when that raises, run some of those;
    what is left of them is known to hold the fault if the first ones did not, and nothing is known of it if they
    did. The rate of faults is known to the plan.
    """
    seconds = [0.0, *(table.run_seconds(rows) for rows in range(1, BATCH + 1))]
    good = [(1 - RATE) ** count for count in range(BATCH + 1)]
    faulty = [0.0, share * seconds[1]]  # expected seconds for so many, one of them at fault
    unknown = [0.0]

    def failed(part: int) -> float:
        return share * seconds[part] + (faulty[part] if part > 1 else 0.0)

    for count in range(1, BATCH + 1):
        if count > 1:
            faulty.append(
                min(
                    clean * (seconds[part] + faulty[count - part])
                    + (1 - clean) * (failed(part) + unknown[count - part])
                    for part in range(1, count)
                    for clean in [(good[part] - good[count]) / (1 - good[count])]
                )
            )
        unknown.append(
            min(
                good[part] * seconds[part] + (1 - good[part]) * failed(part) + unknown[count - part]
                for part in range(1, count + 1)
            )
        )
    return unknown[BATCH]
