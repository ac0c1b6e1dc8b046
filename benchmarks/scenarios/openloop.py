"""Independent callers at several loads: does the real server do what the simulator says, and does nobody wait for a batch?

Poisson arrivals, the same moments for every server and for the simulator, which gets the call times measured here
and adds to each what a lone request takes beside its call: sockets, wake-ups, JSON.
Loads are shares of what ours can serve of this work. A lone request is one with nobody else there, one after the
other: what batching adds to it is the difference to the same server without batching.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.load import lone
from benchmarks.load.arrivals import Call, open_loop, poisson
from benchmarks.load.lone import percentile
from benchmarks.scenarios.poison import fitted
from benchmarks.scenarios.stage import Ran, Stage, capacity, cast, good, stage
from benchmarks.servers import OURS, SERVERS
from benchmarks.simulate.engine import Plan, Simulation
from benchmarks.simulate.tables import Table
from benchmarks.tables import Goal, number, share, table

TITLE = "Independent callers at several loads"
SIZE = 32
LOADS = (0.05, 0.3, 0.6, 0.9)


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    record: dict[str, Any] = {"size": SIZE, "loads": LOADS, "rows": [], "lone": {}}
    mosec = [name for name in servers if name == "mosec"]
    full = 0.0
    for server in cast(mosec, SIZE):
        try:
            with stage(server, SIZE) as made:
                full = full or capacity(made, SIZE, seconds)
                record["capacity"] = full
                record["lone"][server.name] = alone(made, seconds / 2)
                for load in LOADS:
                    lone_ms = record["lone"][server.name] if server.name == "ours-batching" else None
                    row = at_load(made, load * full, seconds, lone_ms)
                    record["rows"].append({"server": server.name, "load": load, **row})
                    print(f"openloop: {record['rows'][-1]}", flush=True)
        except (RuntimeError, OSError) as error:
            record.setdefault("failed", {})[server.name] = str(error)
            print(f"openloop: {server.name} {error}", flush=True)
    with stage(OURS, 1) as made:
        record["lone"]["ours"] = alone(made, seconds / 2)
    return record


def alone(made: Stage, seconds: float) -> float:
    """Milliseconds of the median lone request."""
    return percentile(lone.latencies(made.now.connect(), seconds), 0.5)


def at_load(made: Stage, rate: float, seconds: float, lone_ms: float | None) -> dict[str, Any]:
    """Latencies at one rate; those of the simulator as well where it is told what a lone request takes."""
    calls = []
    for due in poisson(rate, seconds, random.Random(round(rate))):
        call = good()
        call.due = due
        calls.append(call)
    since = made.mark()
    open_loop(made.target(), calls)
    ran = made.calls(since)
    found = [call.latency_ms for call in calls if call.status == 200]
    row: dict[str, Any] = {
        "rate": rate,
        "failed": len(calls) - len(found),
        "rows_per_call": statistics.fmean(call.rows for call in ran) if ran else None,
    }
    if found:
        row |= {"mean_ms": statistics.fmean(found), "p99_ms": percentile(found, 0.99)}
    if lone_ms is not None and ran:
        row |= simulate(calls, ran, lone_ms * 1e-3)
    return row


def simulate(calls: Sequence[Call], ran: Sequence[Ran], lone: float) -> dict[str, float]:
    """The same arrivals under the simulator's clock, with the times of these calls."""
    seconds = fitted([call for call in ran if not call.raised])
    if seconds is None:
        return {}
    sizes = tuple(range(1, SIZE + 1))
    times = tuple(seconds(rows) for rows in sizes)
    beside = max(0.0, lone - times[0])
    measured = Table(
        "device", "the device of this run", "", sizes, tuple(each + beside for each in times), times
    )
    outcome = Simulation(Plan(measured, SIZE)).run([call.due for call in calls])
    found = [1000 * latency for latency in outcome.latencies]
    return {"simulated_mean_ms": statistics.fmean(found), "simulated_p99_ms": percentile(found, 0.99)}


def report(record: dict[str, Any]) -> str:
    rows = []
    for row in record["rows"]:
        keys = ("mean_ms", "simulated_mean_ms", "p99_ms", "simulated_p99_ms", "rows_per_call")
        title = SERVERS[row["server"]].title
        rows.append(
            [title, f"{row['load']:.0%}", number(row["rate"]), *(number(row.get(key)) for key in keys)]
        )
    head = ["server", "load", "requests/s", "mean ms", "simulated", "p99 ms", "simulated", "rows a call"]
    alone = ", ".join(f"{SERVERS[name].title} {number(ms)} ms" for name, ms in record["lone"].items())
    return f"{table(head, rows)}\n\nA lone request, median: {alone}."


def goals(record: dict[str, Any]) -> list[Goal]:
    with_batching, without = (record["lone"].get(name) for name in ("ours-batching", "ours"))
    added = with_batching - without if with_batching and without else None
    found = [Goal("lone request, ms that batching adds", added, 0.1, False, " ms")]
    ours = [row for row in record["rows"] if row["server"] == "ours-batching"]
    for what, key in (("mean", "mean_ms"), ("p99", "p99_ms")):
        shares = [share(row.get(key), row.get(f"simulated_{key}")) for row in ours]
        worst = max((value for value in shares if value), default=None)
        found.append(
            Goal(f"independent callers: {what} to the simulator's, at worst", worst, 1.1, False, " ×")
        )
    return found
