"""Half the clients leave before they are answered: what do the others get?

Open loop at twice the capacity, one request in two to be left at a random moment of the next second. Measured twice with the same
arrivals: once the leavers close their connections; once they only stop listening, which no server can see, so that it
does the work of them all: that is what a server that keeps working would do, with everything else the same. Counted from
the fifth second on: until then the queue grows, and who would have left waits too briefly to leave.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import processes
from benchmarks.load.arrivals import Call, open_loop, poisson, rate_between
from benchmarks.scenarios.stage import Stage, capacity, cast, good, stage
from benchmarks.servers import SERVERS
from benchmarks.tables import Goal, number, percent, share, table

TITLE = "Half of the clients leave"
SIZE = 8
STAY = 1.0  # seconds within which a leaver leaves
BUILD_UP = 5.0  # seconds; the wait w grows by 1 - 1 / (2 - w) a second, so that it is then 0.95 s
QUEUED = "azmlinfsrv_requests_queued"


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    record: dict[str, Any] = {"size": SIZE, "stay_s": STAY, "rows": []}
    variables = {"MOSEC_CAPACITY": "100000", "MOSEC_TIMEOUT": "60000"}
    for server in cast(servers, SIZE):
        row: dict[str, Any] = {"server": server.name}
        try:
            with stage(server, SIZE, variables) as made:
                row["capacity"] = capacity(made, SIZE, seconds)
                row["left"] = useful(made, row["capacity"], seconds, hold_on=False)
                if server.name == "ours-batching":
                    row["queue_empty_s"] = emptied(made)
            with stage(server, SIZE, variables) as made:
                row["worked_on"] = useful(made, row["capacity"], seconds, hold_on=True)
        except (RuntimeError, OSError) as error:
            row["failed"] = str(error)
        record["rows"].append(row)
        print(f"leavers: {row}", flush=True)
    return record


def arrivals(rate: float, seconds: float) -> list[Call]:
    """Poisson arrivals at twice `rate`; half of them leave."""
    chance = random.Random(0)
    calls = []
    for due in poisson(2 * rate, seconds, chance):
        call = good()
        call.due = due
        if chance.random() < 0.5:
            call.stay = chance.uniform(0, STAY)
        calls.append(call)
    return calls


def useful(made: Stage, rate: float, seconds: float, hold_on: bool) -> float:
    """Answers a second to those who stay, once the queue has had time to build up."""
    calls = arrivals(rate, BUILD_UP + seconds)
    open_loop(made.target(hold_on=hold_on), calls, patience=0.0)
    return rate_between([call for call in calls if call.stay is None], BUILD_UP, BUILD_UP + seconds)


def emptied(made: Stage, most: float = 20.0) -> float | None:
    """Seconds after the last client has left until nothing waits any more; None when something still does."""
    begun = time.monotonic()
    if processes.wait_until(lambda: made.metric(QUEUED) == 0, most):
        return time.monotonic() - begun
    return None


def report(record: dict[str, Any]) -> str:
    rows = []
    for row in record["rows"]:
        title, total = SERVERS[row["server"]].title, row.get("capacity")
        if "failed" in row:
            rows.append([title, row["failed"]])
            continue
        left, kept = row["left"], row["worked_on"]
        rows.append(
            [
                title,
                *map(number, (total, left, kept)),
                percent(share(left, total)),
                number(share(left, kept), " ×"),
            ]
        )
    head = ["server", "capacity/s", "to who stays/s", "when leaving is not seen/s", "of capacity", "gain"]
    return table(head, rows)


def goals(record: dict[str, Any]) -> list[Goal]:
    row: dict[str, Any] = next((row for row in record["rows"] if row["server"] == "ours-batching"), {})
    return [
        Goal(
            "half the clients leave: useful answers, to those of a server that works on",
            share(row.get("left"), row.get("worked_on")),
            1.8,
            True,
            " ×",
        ),
        Goal(
            "seconds until the queue is empty after they have left", row.get("queue_empty_s"), 1, False, " s"
        ),
    ]
