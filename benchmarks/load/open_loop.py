"""A constant rate of requests, however slowly they are answered: the tail as real callers see it.

A request that finds no free connection waits, and its latency is counted from the moment it was due: a server that
stalls is charged for everybody who waited (no coordinated omission). One that finds a connection is counted from when
it was sent, so that the coarse timers of this client are charged to nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from benchmarks.load.http import Answers, request_bytes


@dataclass(frozen=True)
class Tail:
    """Latencies in milliseconds of the requests that were due; `failed` of them had no 200."""

    rate: float
    latencies: list[float]
    failed: int


class _Caller(asyncio.Protocol):
    """One connection with at most one request on it."""

    def __init__(self, load: _Load) -> None:
        self.load = load
        self.due: float | None = None
        self.answers = Answers()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.load.free(self)

    def ask(self, due: float) -> None:
        self.due = due
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        answer = self.answers.feed(data)
        if answer is None or self.due is None:
            return
        self.load.answered(self.due, answer[0])
        self.due = None
        if self.answers.keep:
            self.load.free(self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.due is not None:
            self.load.answered(self.due, 0)
            self.due = None
        self.load.lost(self)


class _Load:
    """Requests that are due and connections that are free; a lost connection is opened again."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self.port, self.request, self.connections = port, request, connections
        self.idle: deque[_Caller] = deque()
        self.late: deque[float] = deque()
        self.latencies: list[float] = []
        self.failed = 0
        self.stopping = False
        self.opening: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        task = asyncio.get_running_loop().create_task(self._open())
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping:
            try:
                await loop.create_connection(lambda: _Caller(self), "127.0.0.1", self.port)
                return
            except OSError:
                await asyncio.sleep(0.01)

    def due(self, when: float) -> None:
        if self.idle:
            self.idle.popleft().ask(time.perf_counter())
        else:
            self.late.append(when)

    def free(self, caller: _Caller) -> None:
        if self.late:
            caller.ask(self.late.popleft())
        else:
            self.idle.append(caller)

    def answered(self, due: float, status: int) -> None:
        if status == 200:
            self.latencies.append((time.perf_counter() - due) * 1000)
        else:
            self.failed += 1

    def lost(self, caller: _Caller) -> None:
        if caller in self.idle:
            self.idle.remove(caller)
        if not self.stopping:
            self.open()


async def _run(
    port: int, route: str, body: bytes, rate: float, seconds: float, connections: int, method: str
) -> Tail:
    load = _Load(port, request_bytes(port, route, body, method), connections)
    for _ in range(connections):
        load.open()
    await asyncio.sleep(0.2)
    total, done = int(rate * seconds), 0
    start = time.perf_counter()
    while done < total:
        now = time.perf_counter()
        while done < total and start + done / rate <= now:
            load.due(start + done / rate)
            done += 1
        await asyncio.sleep(max(0.0, start + done / rate - time.perf_counter()))
    end = time.perf_counter() + 10  # the last ones may still be answered; who is not has failed
    while len(load.latencies) + load.failed < total and time.perf_counter() < end:
        await asyncio.sleep(0.01)
    load.stopping = True
    for caller in load.idle:
        caller.transport.close()
    return Tail(rate, load.latencies, total - len(load.latencies))


def run(
    port: int,
    route: str,
    body: bytes,
    rate: float,
    seconds: float,
    connections: int = 64,
    method: str = "POST",
) -> Tail:
    """Send `rate` requests a second for `seconds` over at most so many connections."""
    return asyncio.run(_run(port, route, body, rate, seconds, connections, method))
