"""`make soak`: a million requests, some of them mishaps, and not one answer lost, doubled or swapped.

Mishaps, a third each: a request that kills its worker, a client that resets its connection (in the middle of its body or while
it waits), and a request whose run() goes on past the scoring timeout. What must hold:

- every whole request gets exactly one answer, its own; only the poisoned ones get an error;
- no request runs twice, and none that was answered with 200 ran less than once;
- the memory of the server does not grow.

With --batching the rows of many requests share a run() and the neighbours of a mishap run again, so that runs are not counted; that
every whole request gets its own answer, and only the poisoned ones an error, holds all the same.

The loop is bounded by --requests and --minutes, and talks to the server it started on 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import processes
from benchmarks.load.http import Answers, request_bytes
from benchmarks.load.lone import Connection
from benchmarks.servers import environment, free_port
from benchmarks.workloads import RESULTS

SCRIPT = Path(__file__).with_name("soak_score.py")
ROWS_SCRIPT = Path(__file__).with_name("soak_rows.py")
MISHAPS = ("kill", "reset", "sleep")
TIMEOUT_MS = 50
LINGER = struct.pack("ii", 1, 0)  # close with a reset


@dataclass
class Soak:
    """What is asked, and what came of it."""

    port: int
    requests: int
    share: float
    deadline: float
    random: random.Random
    batching: bool = False
    next: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    whole: bytearray = field(default_factory=bytearray)  # 1: answered with 200, 2: sent whole, 0: else

    def take(self) -> tuple[int, str] | None:
        """The next request's number and mishap, or None when there are no more."""
        if self.next >= self.requests or time.monotonic() > self.deadline:
            return None
        number = self.next
        self.next += 1
        return number, self.random.choice(MISHAPS) if self.random.random() < self.share else ""

    def fault(self, text: str) -> None:
        self.outcomes["FAULT"] += 1
        if len(self.faults) < 20:
            self.faults.append(text)

    def expected(self, number: int) -> object:
        return [[number, 2 * number]] if self.batching else {"number": number, "twice": 2 * number}

    def body(self, number: int, what: str) -> bytes:
        seconds = 4 * TIMEOUT_MS / 1000
        if self.batching:
            return json.dumps(
                {"data": [[number, ("", "kill", "sleep", "reset").index(what) % 3, seconds]]}
            ).encode()
        request: dict[str, object] = {"number": number}
        if what in ("kill", "sleep"):
            request |= {"do": what, "seconds": seconds}
        return json.dumps(request).encode()

    def answered(self, number: int, what: str, status: int, body: bytes) -> None:
        """Judge one answer."""
        if status == 200:
            self.whole[number] = 1
            if json.loads(body) != self.expected(number):
                self.fault(f"request {number} got the answer of another: {body[:100]!r}")
            elif what:
                self.fault(f"request {number} was to {what} and got 200")
            else:
                self.outcomes["200"] += 1
        elif what:
            self.outcomes[f"{what}: {status}"] += 1
        else:
            self.fault(f"request {number} was innocent and got {status} {body[:100]!r}")


async def _caller(soak: Soak) -> None:
    """One client: a request, its answer, the next; a new connection after a mishap."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while (taken := soak.take()) is not None:
        number, what = taken
        if connection is None:
            connection = await _connect(soak)
        reader, writer = connection
        request = request_bytes(soak.port, "/score", soak.body(number, what))
        if what == "reset":
            await _reset(writer, request, soak.random)
            soak.outcomes["reset: left"] += 1
            connection = None
            continue
        try:
            writer.write(request)
            status, body, keep = await asyncio.wait_for(_answer(reader), 60)
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            soak.fault(
                f"request {number} {what or 'innocent'} got no answer: {error or type(error).__name__}"
            )
            writer.close()
            connection = None
            continue
        soak.answered(number, what, status, body)
        if not keep:
            writer.close()
            connection = None
    if connection is not None:
        await _end(soak, *connection)


async def _connect(soak: Soak) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", soak.port)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    answers = Answers()
    while True:
        data = await reader.read(1 << 16)
        if not data:
            raise ConnectionError("the connection was closed")
        found = answers.feed(data)
        if found is not None:
            if answers.buffer:
                raise ValueError(f"more came than one answer: {bytes(answers.buffer[:100])!r}")
            return *found, answers.keep


async def _reset(writer: asyncio.StreamWriter, request: bytes, chance: random.Random) -> None:
    """Leave rudely: in the middle of the request, or just after it."""
    writer.write(request[: chance.choice((len(request) // 2, len(request) - 3, len(request)))])
    await asyncio.sleep(chance.choice((0, 0, 0.002)))
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    writer.transport.abort()


async def _end(soak: Soak, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Nothing more may come on a connection whose requests are all answered."""
    try:
        more = await asyncio.wait_for(reader.read(100), 0.5)
        if more:
            soak.fault(f"something came that nobody asked for: {more!r}")
    except asyncio.TimeoutError:
        pass
    writer.close()


async def _watch(soak: Soak, pid: int, memory: list[float]) -> None:
    """Say how far it is, and note the server's memory at every twentieth of the way."""
    step = max(1, soak.requests // 20)
    begun = time.monotonic()
    while True:
        await asyncio.sleep(0.5)
        if soak.next < step * (len(memory) + 1):
            continue
        memory.append(await asyncio.to_thread(processes.memory_mib, pid))
        rate = soak.next / (time.monotonic() - begun)
        shown = ", ".join(f"{name} {count}" for name, count in sorted(soak.outcomes.items()))
        print(f"{soak.next:>9,}  {rate:6,.0f}/s  {memory[-1]:5.0f} MiB  {shown}", flush=True)


async def _load(soak: Soak, pid: int, connections: int) -> list[float]:
    memory: list[float] = []
    watch = asyncio.create_task(_watch(soak, pid, memory))
    await asyncio.gather(*(_caller(soak) for _ in range(connections)))
    watch.cancel()
    memory.append(processes.memory_mib(pid))
    return memory


def _judge(soak: Soak, runs: bytes, memory: list[float]) -> list[str]:
    """What did not hold, one line each."""
    wrong = list(soak.faults)
    twice = [] if soak.batching else [number for number in range(soak.next) if runs[number] > 1]
    never = [number for number in range(soak.next) if soak.whole[number] == 1 and runs[number] == 0]
    if twice:
        wrong.append(f"{len(twice)} requests ran more than once, such as {twice[:5]}")
    if never:
        wrong.append(f"{len(never)} requests were answered without having run, such as {never[:5]}")
    settled = memory[len(memory) // 5 :]  # the first fifth fills caches and pools
    third = len(settled) // 3
    if third:  # the most of each: a worker that is being replaced has no memory
        before, after = max(settled[:third]), max(settled[-third:])
        if after > 1.2 * before + 5:
            wrong.append(f"memory grew from {before:.0f} to {after:.0f} MiB")
    return wrong


def _start(port: int, workers: int, batching: bool, runs: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [
        str(Path(sys.executable).with_name("azmlinfsrv")),
        *("--entry_script", str(ROWS_SCRIPT if batching else SCRIPT)),
        *("--port", str(port), "--worker_count", str(workers)),
        *(("--max_batch_size", "32") if batching else ()),
    ]
    variables = {**environment("soak"), "SOAK_RUNS": str(runs), "SCORING_TIMEOUT_MS": str(TIMEOUT_MS)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=variables, cwd=SCRIPT.parent, stdout=output, stderr=output, start_new_session=True
        )

    def up() -> bool:
        if process.poll() is not None:
            raise SystemExit(f"the server ended by itself; its output is in {log}")
        try:
            return Connection(port, "/readyz", b"", "GET", timeout=5).ask()[0] == 200
        except OSError:
            return False

    if not processes.wait_until(up, 30):
        processes.stop(process)
        raise SystemExit(f"the server was not ready in 30 s; its output is in {log}")
    return process


@dataclass
class Verdict:
    """What a soak found; nothing in `wrong` is what it should find."""

    requests: int
    seconds: float
    outcomes: dict[str, int]
    wrong: list[str]


def run(
    requests: int,
    mishaps: float,
    *,
    connections: int = 64,
    workers: int = 2,
    minutes: float = 60,
    seed: int = 0,
    batching: bool = False,
) -> Verdict:
    """Start the server, send everything, judge. Raises SystemExit when the server does not come up."""
    port, log = free_port(), RESULTS / "logs" / "soak.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        runs.write_bytes(bytes(requests))
        process = _start(port, workers, batching, runs, log)
        deadline, chance = time.monotonic() + 60 * minutes, random.Random(seed)
        soak = Soak(port, requests, mishaps, deadline, chance, batching, whole=bytearray(requests))
        begun = time.monotonic()
        try:
            memory = asyncio.run(_load(soak, process.pid, connections))
            alive = process.poll() is None
        finally:
            processes.stop(process)
        wrong = _judge(soak, runs.read_bytes(), memory)
    if not alive:
        wrong.append("the server ended by itself")
    if soak.next < requests:
        wrong.append(f"time was over after {soak.next:,} of {requests:,} requests")
    print(f"server's output in {os.path.relpath(log)}")
    return Verdict(soak.next, time.monotonic() - begun, dict(soak.outcomes), wrong)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--mishaps", type=float, default=0.01, help="share of requests that are one (0.01)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60, help="stop sending after that long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batching", action="store_true", help="rows of many requests share a run()")
    arguments = vars(parser.parse_args())
    verdict = run(arguments.pop("requests"), arguments.pop("mishaps"), **arguments)
    print(f"\n{verdict.requests:,} requests in {verdict.seconds:.0f} s")
    for name, count in sorted(verdict.outcomes.items()):
        print(f"  {name:12} {count:>9,}")
    print("\n".join(verdict.wrong) or "every answer was right, none lost, doubled or swapped; memory is flat")
    raise SystemExit(1 if verdict.wrong else 0)


if __name__ == "__main__":
    main()
