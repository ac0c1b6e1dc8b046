"""`make soak`: a million requests, one in a hundred of them a mishap, and not one answer lost, doubled or swapped.

Mishaps, a third each: a request that kills its worker, a client that resets its connection (in the middle of its body or while
it waits), and a request whose run() goes on past the scoring timeout. What must hold:

- every whole request gets exactly one answer, its own; only the poisoned ones get an error;
- no request runs twice, and none that was answered with 200 ran less than once;
- the memory of the server does not grow.

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

    def answered(self, number: int, what: str, status: int, body: bytes) -> None:
        """Judge one answer."""
        if status == 200:
            self.whole[number] = 1
            if json.loads(body) != {"number": number, "twice": 2 * number}:
                self.fault(f"request {number} got the answer of another: {body[:100]!r}")
            elif what:
                self.fault(f"request {number} was to {what} and got 200")
            else:
                self.outcomes["200"] += 1
        elif what:
            self.outcomes[f"{what}: {status}"] += 1
        else:
            self.fault(f"request {number} was innocent and got {status} {body[:100]!r}")


def _body(number: int, what: str) -> bytes:
    request: dict[str, object] = {"number": number}
    if what in ("kill", "sleep"):
        request |= {"do": what, "seconds": 4 * TIMEOUT_MS / 1000}
    return json.dumps(request).encode()


async def _caller(soak: Soak) -> None:
    """One client: a request, its answer, the next; a new connection after a mishap."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while (taken := soak.take()) is not None:
        number, what = taken
        if connection is None:
            connection = await _connect(soak)
        reader, writer = connection
        request = request_bytes(soak.port, "/score", _body(number, what))
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
    twice = [number for number in range(soak.next) if runs[number] > 1]
    never = [number for number in range(soak.next) if soak.whole[number] == 1 and runs[number] == 0]
    if twice:
        wrong.append(f"{len(twice)} requests ran more than once, such as {twice[:5]}")
    if never:
        wrong.append(f"{len(never)} requests were answered without having run, such as {never[:5]}")
    settled = memory[len(memory) // 5 :]  # the first fifth fills caches and pools
    if len(settled) > 3 and settled[-1] > 1.2 * settled[0] + 5:
        wrong.append(f"memory grew from {settled[0]:.0f} to {settled[-1]:.0f} MiB")
    return wrong


def _start(port: int, workers: int, runs: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [
        str(Path(sys.executable).with_name("azmlinfsrv")),
        *("--entry_script", str(SCRIPT), "--port", str(port), "--worker_count", str(workers)),
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--mishaps", type=float, default=0.01, help="share of requests that are one (0.01)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60, help="stop sending after that long")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    port, log = free_port(), RESULTS / "logs" / "soak.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        runs.write_bytes(bytes(arguments.requests))
        process = _start(port, arguments.workers, runs, log)
        soak = Soak(
            port,
            arguments.requests,
            arguments.mishaps,
            time.monotonic() + 60 * arguments.minutes,
            random.Random(arguments.seed),
            whole=bytearray(arguments.requests),
        )
        begun = time.monotonic()
        try:
            memory = asyncio.run(_load(soak, process.pid, arguments.connections))
            alive = process.poll() is None
        finally:
            processes.stop(process)
        wrong = _judge(soak, runs.read_bytes(), memory)
    if not alive:
        wrong.append("the server ended by itself")
    if soak.next < arguments.requests:
        wrong.append(f"time was over after {soak.next:,} of {arguments.requests:,} requests")
    print(
        f"\n{soak.next:,} requests in {time.monotonic() - begun:.0f} s; server's output in {os.path.relpath(log)}"
    )
    for name, count in sorted(soak.outcomes.items()):
        print(f"  {name:12} {count:>9,}")
    print("\n".join(wrong) or "every answer was right, none lost, doubled or swapped; memory is flat")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
