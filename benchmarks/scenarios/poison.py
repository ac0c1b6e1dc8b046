"""One request in a hundred makes its call raise: who else pays for it, and how much?

Batches of 32 rows, 96 callers. The poison shows before the work (early) or after it (late); every poisoned request is
another one, so that none can be known by its looks. The cost of a good request is all time that the work ran, divided by
the good answers; beside it stands the best that any plan of which requests to run together could reach with the
measured times of calls (limits/split_plan.py).
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.limits import split_plan
from benchmarks.load.arrivals import Call, closed_loop
from benchmarks.scenarios.stage import Ran, cast, good, stage
from benchmarks.servers import SERVERS
from benchmarks.tables import Goal, number, share, table

TITLE = "One request in a hundred is poison"
SIZE, CALLERS, POISON = 32, 96, 0.01
KINDS = ("early", "late")


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    record: dict[str, Any] = {"size": SIZE, "callers": CALLERS, "poison": POISON, "rows": []}
    for kind in KINDS:
        for server in cast(servers, SIZE):
            row: dict[str, Any] = {"server": server.name, "title": server.title, "raise": kind}
            try:
                with stage(server, SIZE, {"BENCH_RAISE": kind}) as made:
                    since = made.mark()
                    calls = closed_loop(made.target(), _Mixed(), seconds, CALLERS)
                    row |= judge(calls, made.calls(since))
            except (RuntimeError, OSError) as error:
                row["failed"] = str(error)
            record["rows"].append(row)
            print(f"poison {kind}: {row}", flush=True)
    return record


class _Mixed:
    """Good requests with a share of poison among them, the same sequence for every server."""

    def __init__(self) -> None:
        self.chance = random.Random(0)

    def __call__(self) -> Call:
        if self.chance.random() < POISON:
            return Call(json.dumps({"data": [[-self.chance.random() - 1]]}).encode(), kind="poison")
        return good()


def judge(calls: Sequence[Call], ran: Sequence[Ran]) -> dict[str, Any]:
    """Answers by kind, cost of a good one, and the least that it could cost with the share of poison there was."""
    good_ones = [call for call in calls if call.kind == "good" and call.status is not None]
    answered = sum(call.status == 200 for call in good_ones)
    row: dict[str, Any] = {
        "good": len(good_ones),
        "good_failed": len(good_ones) - answered,
        "poison": sum(call.kind == "poison" for call in calls),
        "poison_200": sum(call.kind == "poison" and call.status == 200 for call in calls),
        "rows_per_call": statistics.fmean(call.rows for call in ran) if ran else None,
    }
    passes, raises = (
        fitted([call for call in ran if not call.raised]),
        fitted([call for call in ran if call.raised]),
    )
    if answered and passes and raises:
        poison = row["poison"] / (row["poison"] + len(good_ones))
        row["cost_ms"] = 1000 * sum(call.seconds for call in ran) / answered
        row["best_ms"] = 1000 * split_plan.best(SIZE, poison, passes, raises)
        row["clean_ms"] = 1000 * passes(SIZE) / SIZE
    return row


def fitted(ran: Sequence[Ran]) -> Callable[[int], float] | None:
    """Seconds of a call by its rows: a line through the medians of each size. None where nothing was run."""
    by_rows: dict[int, list[float]] = {}
    for call in ran:
        by_rows.setdefault(call.rows, []).append(call.seconds)
    points = [(rows, statistics.median(found), len(found)) for rows, found in by_rows.items()]
    if not points:
        return None
    total = sum(weight for _, _, weight in points)
    mean_rows = sum(rows * weight for rows, _, weight in points) / total
    mean = sum(spent * weight for _, spent, weight in points) / total
    spread = sum(weight * (rows - mean_rows) ** 2 for rows, _, weight in points)
    slope = (
        sum(weight * (rows - mean_rows) * (spent - mean) for rows, spent, weight in points) / spread
        if spread
        else 0.0
    )
    return lambda rows: max(0.0, mean + slope * (rows - mean_rows))


def report(record: dict[str, Any]) -> str:
    head = [
        "server",
        "raise",
        "good, failed",
        "work per good ms",
        "best plan ms",
        "no poison ms",
        "rows a call",
    ]
    rows = [
        [
            SERVERS[row["server"]].title,
            row["raise"],
            f"{row['good']:,}, **{row['good_failed']:,}**" if row["good_failed"] else f"{row['good']:,}, 0",
            *(number(row.get(key)) for key in ("cost_ms", "best_ms", "clean_ms", "rows_per_call")),
        ]
        if "failed" not in row
        else [SERVERS[row["server"]].title, row["raise"], row["failed"]]
        for row in record["rows"]
    ]
    return table(head, rows)


def goals(record: dict[str, Any]) -> list[Goal]:
    found = []
    for kind in KINDS:
        row: dict[str, Any] = next(
            (row for row in record["rows"] if row["server"] == "ours-batching" and row["raise"] == kind), {}
        )
        over = share(row.get("cost_ms"), row.get("best_ms"))
        found += [
            Goal(
                f"1 % poison, {kind}: good requests not answered with 200", row.get("good_failed"), 0, False
            ),
            Goal(f"1 % poison, {kind}: work per good request to the best plan's", over, 1.1, False, " ×"),
        ]
    return found
