"""New code takes over a hundred times while callers keep asking: who fails, and who waits for it?

Independent callers at a constant rate, one worker, a swap (SIGHUP) after the other with a rest between them. A request
belongs to a swap when it is in the server at any moment between the signal and 0.1 s after the new worker serves; the
p99 of these is compared with the p99 of the others. The worker that starts has the load, the front and the old worker
for company on the same cores. The tiny script imports next to nothing, the other one numpy.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.load.arrivals import Call, Target, open_loop, poisson
from benchmarks.load.lone import Connection, percentile
from benchmarks.servers import OURS, Running, running
from benchmarks.tables import Goal, number, ratio, share, table
from benchmarks.workloads import WORKLOADS

TITLE = "New code takes over under load"
SWAPS, RATE = 50, 500.0  # of each script; requests a second
REST, SETTLE, LOOK = 0.4, 0.1, 0.02  # seconds between swaps, after one, between two looks at how it goes
LONGEST = 30.0  # of one swap
FULL_SECONDS = 3.0  # of a measurement of full length: with less there are fewer swaps
Span = tuple[float, float]


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    """Only ours is asked: the peers start anew."""
    swaps = max(2, round(SWAPS * min(1.0, seconds / FULL_SECONDS)))
    record: dict[str, Any] = {"rate": RATE, "rows": []}
    for name in ("tiny", "mlp"):
        workload = WORKLOADS[name]
        row: dict[str, Any] = {"workload": name, "title": workload.title}
        try:
            with running(OURS, workload) as now:
                row |= swapped(now, swaps)
        except (RuntimeError, OSError) as error:
            row["failed"] = str(error)
        record["rows"].append(row)
        print(f"reload: {row}", flush=True)
    return record


def swapped(now: Running, swaps: int) -> dict[str, Any]:
    """So many swaps under load, and what callers saw of them."""
    warm = _calls(now, 1.0)
    open_loop(_target(now), warm)
    swapper = Swapper(now, swaps)
    guess = swaps * (REST + max(0.3, now.first_answer))  # long enough for the swaps; the rest is cut off
    calls = _calls(now, guess + 2 * REST)
    begun = time.perf_counter()
    swapper.start()
    open_loop(_target(now), calls)
    swapper.join()
    if swapper.error:
        raise RuntimeError(swapper.error)
    return judge(calls, [(begin - begun, end - begun) for begin, end in swapper.spans])


def _target(now: Running) -> Target:
    return Target(now.port, now.server.route)


def _calls(now: Running, seconds: float) -> list[Call]:
    bodies = (now.workload.body, *now.workload.more)
    chance = random.Random(0)
    return [
        Call(bodies[index % len(bodies)], due=due) for index, due in enumerate(poisson(RATE, seconds, chance))
    ]


class Swapper(threading.Thread):
    """Asks for one swap after the other; `spans` are those that were made, in seconds of perf_counter()."""

    def __init__(self, now: Running, swaps: int) -> None:
        super().__init__()
        self.spans: list[Span] = []
        self.error = ""
        self._now, self._swaps = now, swaps

    def run(self) -> None:
        try:
            with contextlib.closing(Connection(self._now.port, "/readyz", b"", "GET")) as connection:
                for number_ in range(1, self._swaps + 1):
                    time.sleep(REST)
                    begin = time.perf_counter()
                    self._now.process.send_signal(signal.SIGHUP)
                    self._wait(connection, number_, begin + LONGEST)
                    self.spans.append((begin, time.perf_counter() + SETTLE))
        except (RuntimeError, OSError) as error:
            self.error = str(error)

    def _wait(self, connection: Connection, wanted: int, until: float) -> None:
        """Until swap number `wanted` is done. Raises RuntimeError when it fails or takes too long."""
        while time.perf_counter() < until:
            time.sleep(LOOK)
            report = json.loads(connection.ask()[1]).get("reload") or {"number": 0}
            if report["number"] >= wanted and report["state"] == "done":
                return
            if report["number"] >= wanted and report["state"] == "failed":
                raise RuntimeError(f"swap {wanted} failed: {report['reason']}")
        raise RuntimeError(f"swap {wanted} took longer than {LONGEST:g} s")


def judge(calls: Sequence[Call], spans: Sequence[Span]) -> dict[str, Any]:
    """Latencies within the spans and outside, failures, how long a swap took. Times are seconds from the start."""
    during, steady = [], []
    at = 0
    for call in calls:  # in the order of their arrival
        while at < len(spans) and spans[at][1] <= call.begun:
            at += 1
        if call.status == 200:
            inside = at < len(spans) and call.done > spans[at][0]
            (during if inside else steady).append(call.latency_ms)
    found = {"during": during, "steady": steady}
    return {
        "swaps": len(spans),
        "calls": len(calls),
        "bad": sum(call.status != 200 for call in calls),
        "swap_s": percentile([end - begin - SETTLE for begin, end in spans], 0.5) if spans else None,
        **{f"{name}_calls": len(values) for name, values in found.items()},
        **{
            f"{name}_{what}": percentile(values, part) if values else None
            for name, values in found.items()
            for what, part in (("p50_ms", 0.5), ("p99_ms", 0.99), ("worst_ms", 1.0))
        },
    }


def report(record: dict[str, Any]) -> str:
    rows = []
    for row in record["rows"]:
        if "failed" in row:
            rows.append([row["title"], row["failed"]])
            continue
        figures = [
            row[f"{when}_{what}"]
            for when in ("steady", "during")
            for what in ("p50_ms", "p99_ms", "worst_ms")
        ]
        rows.append(
            [
                row["title"],
                f"{row['swaps']}",
                number(row["swap_s"], " s"),
                f"{row['bad']:,} of {row['calls']:,}",
                *map(number, figures),
                ratio(row["during_p99_ms"], row["steady_p99_ms"]),
            ]
        )
    head = [
        *("script", "swaps", "each took", "failed requests"),
        *(f"{when} {what} ms" for when in ("steady", "in a swap") for what in ("p50", "p99", "worst")),
        "p99, swap to steady",
    ]
    return f"{table(head, rows)}\n\nAt {record['rate']:g} requests a second."


def goals(record: dict[str, Any]) -> list[Goal]:
    rows = [row for row in record["rows"] if "failed" not in row]
    shares = [share(row["during_p99_ms"], row["steady_p99_ms"]) for row in rows]
    worst = max((value for value in shares if value), default=None)
    bad = sum(row["bad"] for row in rows) if rows else None
    swaps = sum(row["swaps"] for row in rows)
    return [
        Goal(f"requests that fail in {swaps} swaps under load", bad, 0, False),
        Goal("p99 during a swap, to the steady one", worst, 1.5, False, " ×"),
    ]
