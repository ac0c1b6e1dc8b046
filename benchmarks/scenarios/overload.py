"""Twice as many requests as can be served, each with a deadline: how many are still answered in time?

Open loop, Poisson arrivals. Ours is told the deadline by the request's own header and refuses at once what it cannot
make (429). The peers know no deadline of a request: their timeouts are set to it, and an answer counts only when
it is in time. Requests that are refused or late are nobody's goodput. Who
answers more of this crowd than of a few callers had more capacity than those could show: what it answered is then all.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.load.arrivals import Call, open_loop, poisson
from benchmarks.load.lone import percentile
from benchmarks.scenarios.stage import Stage, capacity, cast, good, stage
from benchmarks.servers import SERVERS
from benchmarks.tables import Goal, number, percent, share, table

TITLE = "Twice the load that can be served, with deadlines"
SIZE, DEADLINE_MS = 32, 250
WAIT_ERROR = "azmlinfsrv_wait_prediction_error_ratio"  # the server's own comparison; callers cannot see when they were run


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    record: dict[str, Any] = {"size": SIZE, "deadline_ms": DEADLINE_MS, "rows": []}
    variables = {"BENCH_TIMEOUT_MS": str(DEADLINE_MS), "MOSEC_TIMEOUT": str(DEADLINE_MS)}
    for server in cast(servers, SIZE):
        row: dict[str, Any] = {"server": server.name}
        try:
            with stage(server, SIZE, variables) as made:
                row["capacity"] = capacity(made, SIZE, seconds)
                row |= crowd(made, 2 * row["capacity"], seconds)
                if server.name == "ours-batching":
                    row["wait_error_p90"] = made.metric(WAIT_ERROR) or None  # 0 while none was predicted
        except (RuntimeError, OSError) as error:
            row["failed"] = str(error)
        record["rows"].append(row)
        print(f"overload: {row}", flush=True)
    return record


def crowd(made: Stage, rate: float, seconds: float) -> dict[str, Any]:
    """The load, and what came of it after the first quarter."""
    chance = random.Random(0)
    calls = []
    for due in poisson(rate, seconds, chance):
        call = good()
        call.due = due
        calls.append(call)
    open_loop(made.target(b"x-ms-request-timeout-ms: %d\r\n" % DEADLINE_MS), calls, patience=2.0)
    return judge([call for call in calls if call.due >= seconds / 4], 0.75 * seconds)


def judge(calls: Sequence[Call], seconds: float) -> dict[str, Any]:
    """Goodput a second, latencies of what was accepted and of what was refused, statuses."""
    accepted = [call.latency_ms for call in calls if call.status == 200]
    refused = [call.latency_ms for call in calls if call.status in (429, 503)]
    return {
        "offered": len(calls) / seconds,
        "goodput": sum(latency <= DEADLINE_MS for latency in accepted) / seconds,
        "accepted_p99_ms": percentile(accepted, 0.99) if accepted else None,
        "refused_p99_ms": percentile(refused, 0.99) if refused else None,
        "statuses": {
            str(status or "none"): count for status, count in Counter(call.status for call in calls).items()
        },
    }


def in_time(row: dict[str, Any]) -> float | None:
    """Share of its capacity that a server answers in time; None: not measured."""
    part = share(row.get("goodput"), row.get("capacity"))
    return min(part, 1.0) if part is not None else None


def report(record: dict[str, Any]) -> str:
    rows = []
    for row in record["rows"]:
        title = SERVERS[row["server"]].title
        if "failed" in row:
            rows.append([title, row["failed"]])
            continue
        figures = (row["capacity"], row["offered"], row["goodput"])
        rows.append(
            [
                title,
                *map(number, figures),
                percent(in_time(row)),
                number(row["accepted_p99_ms"]),
                number(row["refused_p99_ms"]),
                ", ".join(f"{count} × {status}" for status, count in sorted(row["statuses"].items())),
            ]
        )
    head = [
        *("server", "capacity/s", "offered/s", "in time/s", "of capacity"),
        *("p99 of 200 ms", "p99 of refusals ms", "answers"),
    ]
    return table(head, rows)


def goals(record: dict[str, Any]) -> list[Goal]:
    row: dict[str, Any] = next((row for row in record["rows"] if row["server"] == "ours-batching"), {})
    return [
        Goal(
            "twice the load: answers in time, share of capacity",
            in_time(row),
            0.95,
        ),
        Goal(
            "twice the load: p99 of what was accepted",
            row.get("accepted_p99_ms"),
            record["deadline_ms"],
            False,
            " ms",
        ),
        Goal(
            "twice the load: foretold wait, error at p90, share of the wait",
            row.get("wait_error_p90"),
            0.2,
            False,
        ),
    ]
