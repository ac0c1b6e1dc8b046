"""What the scenarios have in common: servers set up for them, the journal of the work, capacity, warming up.

All run the workload of `device.py`: a device beside the processor, so that scheduling alone is seen.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.load.arrivals import Call, Target, closed_loop, rate_between
from benchmarks.load.lone import Connection
from benchmarks.servers import OURS, SERVERS, Running, Server, azmlinfsrv, running
from benchmarks.work.device import ENTRY
from benchmarks.workloads import DEVICE

PEERS = ("mosec", "litserve", "bentoml", "azureml")


def ours(size: int, *more: str, name: str = "ours-batching") -> Server:
    """Ours with the unmodified run() and batches of up to `size` rows."""
    return replace(
        OURS,
        name=name,
        title="azmlinfsrv, batching",
        command=azmlinfsrv("--max_batch_size", str(size), *more),
    )


def cast(names: Sequence[str], size: int, *more: str) -> list[Server]:
    """Ours and those peers that take part in this run; `more` are flags of ours."""
    return [ours(size, *more), *(SERVERS[name] for name in PEERS if name in names)]


class Ran(NamedTuple):
    """One call of the work."""

    began: float  # monotonic seconds
    rows: int
    seconds: float
    raised: bool


@dataclass
class Stage:
    """A server that answers, is warm, and whose work is journalled."""

    now: Running
    journal: Path

    def target(self, more: bytes = b"", hold_on: bool = False) -> Target:
        return Target(self.now.port, self.now.server.route, more, hold_on)

    def mark(self) -> int:
        """A place in the journal, for `calls`."""
        return self.journal.stat().st_size

    def calls(self, since: int = 0) -> list[Ran]:
        """What the work was called with since a mark."""
        data = self.journal.read_bytes()[since:]
        whole = data[: len(data) - len(data) % ENTRY.size]
        return [
            Ran(began, rows, spent, bool(raised)) for began, rows, spent, raised in ENTRY.iter_unpack(whole)
        ]

    def metric(self, name: str) -> float | None:
        """The sum of one family of /metrics; None where it is not told."""
        with contextlib.closing(Connection(self.now.port, "/metrics", b"", "GET")) as connection:
            status, body = connection.ask()
        if status != 200:
            return None
        lines = [line for line in body.decode().splitlines() if line.startswith((name + "{", name + " "))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines) if lines else None


_numbers = itertools.count(1)


def good() -> Call:
    """A request like no other, so that nothing can be answered from memory."""
    return Call(json.dumps({"data": [[float(next(_numbers))]]}).encode(), kind="good")


@contextlib.contextmanager
def stage(server: Server, size: int, variables: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """Start a server on the device, with batches of up to `size` where it has any, and bring it up to its full ones."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        journal.touch()
        chosen = {"BENCH_JOURNAL": str(journal), "BENCH_BATCH": str(size), **(variables or {})}
        with running(server, DEVICE, chosen) as now:
            made = Stage(now, journal)
            _warm(made, size)
            yield made


def _warm(made: Stage, size: int, most_seconds: float = 12.0) -> None:
    """Load it until batches are full or have stopped growing: ours has to have proven that rows may be joined."""
    largest, spent = 0.0, 0.0
    while spent < most_seconds:
        since = made.mark()
        closed_loop(made.target(), good, 1.0, 3 * size)
        spent += 1
        rows = [ran.rows for ran in made.calls(since)]
        typical = statistics.fmean(rows[len(rows) // 2 :]) if rows else 0.0
        if typical > 0.8 * size or (spent >= 4 and typical <= 1.05 * largest):
            return
        largest = max(largest, typical)


def capacity(made: Stage, size: int, seconds: float) -> float:
    """Requests a second with callers for four full batches: the most that it serves of this work."""
    calls = closed_loop(made.target(), good, seconds, 4 * size)
    return rate_between(calls, seconds / 4, seconds)
