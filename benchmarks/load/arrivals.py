"""Callers one by one: when each asks, what, how long it stays, and what became of it.

Open loop: requests are sent when they are due, each on a connection of its own if need be, so that a slow server meets
a growing crowd as it would outside. Closed loop: so many callers, each with a new request once it has its answer.
A caller may leave before its answer, or only stop listening: the server cannot tell the latter from one that waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from benchmarks.load.http import Answers, request_bytes

LEFT, NO_ANSWER = -1, 0  # in the place of a status


@dataclass(slots=True)
class Call:
    """One request. Times are seconds from the start of the load; `status` is None while nothing has come of it."""

    body: bytes
    due: float = 0.0
    stay: float | None = None  # seconds until its caller leaves; None: stays until it is answered
    kind: str = ""  # for whoever judges the outcomes
    status: int | None = None
    done: float = 0.0
    begun: float = 0.0

    @property
    def latency_ms(self) -> float:
        """From the moment the caller wanted to ask, a new connection's cost included."""
        return (self.done - self.begun) * 1000


@dataclass
class Target:
    """Where the requests go. `more`: header lines that each carries."""

    port: int
    route: str
    more: bytes = b""
    hold_on: bool = False  # who leaves only stops listening; the connection stays open


class _Caller(asyncio.Protocol):
    """One connection with at most one call on it."""

    def __init__(self, crowd: _Crowd) -> None:
        self.crowd = crowd
        self.call: Call | None = None
        self.answers = Answers()
        self.leaving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.crowd.transports.add(self.transport)

    def ask(self, call: Call) -> None:
        self.call = call
        target = self.crowd.target
        self.transport.write(request_bytes(target.port, target.route, call.body, more=target.more))
        if call.stay is not None:
            self.leaving = self.crowd.loop.call_later(call.stay, self.leave)

    def leave(self) -> None:
        call, self.call, self.leaving = self.call, None, None
        if call is None:
            return
        if not self.crowd.target.hold_on:
            self.transport.close()
        self.crowd.ended(call, LEFT)

    def data_received(self, data: bytes) -> None:
        answer = self.answers.feed(data)
        if answer is None or self.call is None:
            return
        call, self.call = self.call, None
        if self.leaving is not None:
            self.leaving.cancel()
            self.leaving = None
        if self.answers.keep:
            self.crowd.idle.append(self)
        else:
            self.transport.close()
        self.crowd.ended(call, answer[0])

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.transports.discard(self.transport)
        if self in self.crowd.idle:
            self.crowd.idle.remove(self)
        if self.leaving is not None:
            self.leaving.cancel()
        if self.call is not None:
            call, self.call = self.call, None
            self.crowd.ended(call, NO_ANSWER)


class _Crowd:
    """All callers of one load; connections that are free are used again, the last one first."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.loop = asyncio.get_running_loop()
        self.idle: deque[_Caller] = deque()
        self.transports: set[asyncio.Transport] = set()
        self.start = time.perf_counter()
        self.open = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.on_end: Callable[[Call], None] = lambda call: None

    def now(self) -> float:
        return time.perf_counter() - self.start

    def begin(self, call: Call) -> None:
        call.begun = self.now()
        self.open += 1
        if self.idle:
            self.idle.pop().ask(call)
            return
        task = self.loop.create_task(self._connect(call))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connect(self, call: Call) -> None:
        try:
            _, caller = await self.loop.create_connection(
                lambda: _Caller(self), "127.0.0.1", self.target.port
            )
        except OSError:
            self.ended(call, NO_ANSWER)
        else:
            caller.ask(call)

    def ended(self, call: Call, status: int) -> None:
        call.status, call.done = status, self.now()
        self.open -= 1
        self.on_end(call)

    async def leave_all(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        self.on_end = lambda call: None
        for transport in list(self.transports):
            transport.abort()
        while self.transports:
            await asyncio.sleep(0.001)


async def _open_loop(target: Target, calls: Sequence[Call], patience: float) -> None:
    crowd = _Crowd(target)
    for call in calls:
        while (wait := call.due - crowd.now()) > 0:
            await asyncio.sleep(wait)
        crowd.begin(call)
    end = crowd.now() + patience
    while crowd.open and crowd.now() < end:
        await asyncio.sleep(0.01)
    await crowd.leave_all()


def open_loop(target: Target, calls: Sequence[Call], patience: float = 5.0) -> None:
    """Send each call when it is due; outcomes are written into the calls. Who has none `patience` seconds later has none."""
    asyncio.run(_open_loop(target, calls, patience))


async def _closed_loop(
    target: Target, more: Callable[[], Call], seconds: float, callers: int, patience: float
) -> list[Call]:
    crowd, made = _Crowd(target), []

    def another(_: Call | None = None) -> None:
        if crowd.now() < seconds:
            call = more()
            call.due = crowd.now()
            made.append(call)
            crowd.begin(call)

    # A call that failed at once must not call itself again at once, without end.
    crowd.on_end = lambda call: another() if call.status != NO_ANSWER else _later(crowd, another)
    for _ in range(callers):
        another()
    while crowd.now() < seconds or (crowd.open and crowd.now() < seconds + patience):
        await asyncio.sleep(0.01)
    await crowd.leave_all()
    return made


def _later(crowd: _Crowd, another: Callable[[], None]) -> None:
    crowd.loop.call_later(0.01, another)


def closed_loop(
    target: Target, more: Callable[[], Call], seconds: float, callers: int, patience: float = 10.0
) -> list[Call]:
    """So many callers for so long, each with a new call from `more` when the last has ended; all calls, with outcomes."""
    return asyncio.run(_closed_loop(target, more, seconds, callers, patience))


def poisson(rate: float, seconds: float, chance: random.Random) -> Iterator[float]:
    """Moments, in seconds from the start, of independent callers at `rate` a second."""
    at = chance.expovariate(rate)
    while at < seconds:
        yield at
        at += chance.expovariate(rate)


def rate_between(calls: Sequence[Call], begin: float, end: float) -> float:
    """Calls answered with 200 a second, counted by when their answer came."""
    return sum(call.status == 200 and begin <= call.done < end for call in calls) / (end - begin)
