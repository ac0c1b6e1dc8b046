"""The load itself: so many callers, or a constant rate, over connections that stay open.

One thread and plain sockets, so that the processors are left to the server that is measured.

*Closed loop*: each caller sends a new request as soon as it has its answer. *Open loop*: requests are due at fixed
times, whether or not earlier ones were answered; each counts from when it was due, so that a server that stalls is
charged for everybody who would have waited (no coordinated omission).
"""

from __future__ import annotations

import contextlib
import math
import selectors
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from inference_server.load import waiting
from inference_server.load.connection import ANSWERED, IDLE, OPENED, SHUT, Broken, Connection
from inference_server.load.requests import Request
from inference_server.load.tally import CROWDED, TIMEOUT, Failure, Tally
from inference_server.load.target import Target

TICK = 0.1  # seconds between two looks at who has waited too long
_PAUSE = 0.05  # seconds before a caller whose connection failed tries again


class Source(Protocol):
    """Where requests come from."""

    def __next__(self) -> Request: ...


@dataclass(frozen=True)
class Closed:
    """A closed loop."""

    callers: int


@dataclass(frozen=True)
class Open:
    """An open loop: so many requests a second, over so many connections at most."""

    rate: float
    connections: int


class _Schedule:
    """When the requests of an open loop are due; without a rate never."""

    __slots__ = ("_count", "_start", "moment", "rate")

    def __init__(self, start: float = math.inf, rate: float = 0.0) -> None:
        self.moment = self._start = start
        self.rate = rate
        self._count = 0

    def advance(self) -> None:
        """To the next one. Each is reckoned from the start, so that roundings do not add up."""
        self._count += 1
        self.moment = self._start + self._count / self.rate


Watch = Callable[[Tally], None]


class Load:
    """A load on one server. Its connections stay between two runs. Close it, or use it in a `with`."""

    def __init__(
        self,
        where: Target,
        source: Source,
        pace: Closed | Open,
        timeout: float = 60.0,
        bodiless: bool = False,
    ) -> None:
        """`timeout`: seconds until a request is given up. `bodiless`: answers have a head only (HEAD)."""
        self.stopping = False  # set it from anywhere to end a run early
        self._where = where
        self._source = source
        self._pace = pace
        self._timeout = timeout
        self._bodiless = bodiless
        self._selector = selectors.DefaultSelector()
        self._wait = waiting.ready(self._selector, exact=isinstance(pace, Open))
        self._connections: set[Connection] = set()
        self._idle: list[
            Connection
        ] = []  # the last one used is used first: no more are kept busy than needed
        self._late: deque[float] = deque()  # when requests were due that found no connection
        self._resting: deque[tuple[float, Connection]] = deque()  # when they may try again
        self._tally = Tally()
        self._asking = False
        self._left = -1  # requests that may still be sent; -1: any number
        self._strict = False
        self._schedule = _Schedule()
        self._next_look = 0.0

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, whatever is on them."""
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()

    def connect(self, seconds: float = 10.0) -> None:
        """Open the callers' connections before the first run, so that no request waits for its connection."""
        if not isinstance(self._pace, Closed):
            return
        missing = self._pace.callers - len(self._connections)
        now = time.perf_counter()
        for _ in range(missing):
            self._open(self._made(), now)
        until = now + seconds
        while now < until and not self.stopping and len(self._idle) + len(self._resting) < self._pace.callers:
            now = self._step(now, until)

    def run(
        self,
        seconds: float,
        answers: int = 0,
        longest: float = 0.0,
        requests: int = 0,
        watch: Watch | None = None,
        strict: bool = False,
    ) -> Tally:
        """Go on for `seconds`, and until there are `answers`, but for no more than `longest` seconds in all.

        `requests`: send no more than so many, and return when all have ended; `watch` is called every 0.1 s;
        `strict`: return at the first failure. Requests under way stay so: `finish` waits for them.
        """
        start = now = time.perf_counter()
        tally = self._tally = Tally(start=start)
        worked = time.process_time()
        until, latest = start + seconds, start + max(seconds, longest)
        self._asking, self._left, self._strict = True, requests or -1, strict
        self._late.clear()
        if isinstance(self._pace, Open):
            self._schedule = _Schedule(start, self._pace.rate)
        self._ask_idle(start)
        while not self.stopping and (now < until or (tally.latency.count < answers and now < latest)):
            self._send_due(now)
            if (strict and tally.failures) or not (self._left or self._busy):
                break
            now = self._step(now, min(latest, self._schedule.moment), watch)
        self._asking = False
        self._schedule = _Schedule()
        tally.seconds = now - start
        tally.busy = time.process_time() - worked
        tally.in_time = tally.good
        tally.cut = self.stopping
        return tally

    def finish(self, watch: Watch | None = None) -> None:
        """Wait for the requests under way, which are added to the last run's tally. Nothing new is sent but what was
        due already."""
        now = time.perf_counter()
        while (self._busy or self._late) and not self.stopping:
            now = self._step(now, now + TICK, watch)
        tally = self._tally
        tally.cut = self.stopping
        if not tally.in_time and tally.good:  # the first answer took longer than the run
            tally.in_time, tally.seconds = tally.good, now - tally.start

    @property
    def _busy(self) -> bool:
        return len(self._connections) > len(self._idle) + len(self._resting)

    def _step(self, now: float, wake: float, watch: Watch | None = None) -> float:
        """Wait until `wake` at most for what happens, and deal with it; returns the time."""
        for key, _ in self._wait(max(0.0, min(wake, self._next_look) - now)):
            self._ready(key.data, key.fileobj)
            if (
                self._schedule.rate
            ):  # many answers at a time take so long to read that requests are due meanwhile
                self._send_due(time.perf_counter())
        now = time.perf_counter()
        if now >= self._next_look:
            self._look(now)
            if watch is not None:
                watch(self._tally)
        return now

    def _ready(self, connection: Connection, file: object) -> None:
        try:
            event = connection.ready(file)
        except Broken as error:
            self._broken(connection, error.kind, str(error))
            return
        if event == ANSWERED:
            self._answered(connection)
        elif event == OPENED:
            self._tally.opened += 1
            self._opened(connection)

    def _answered(self, connection: Connection) -> None:
        now = time.perf_counter()
        answers, request, tally = connection.answers, connection.request, self._tally
        assert request is not None
        connection.request = None
        status = answers.status
        if connection.begun >= tally.start:
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
            tally.sent += len(request.content)
            tally.received += connection.received
            if 200 <= status < 300:
                tally.latency.record(now - connection.begun)
                if answers.timing:
                    tally.timing.add(answers.timing, now - connection.sent_at)
        if not 200 <= status < 300 and (self._strict or connection.begun >= tally.start):
            text = answers.sample.decode("utf-8", "replace")
            tally.failures.setdefault(str(status), Failure(str(status), text, request.place, status))
        if not answers.closes:
            self._free(connection, now)
        else:
            connection.shut()
            if self._late or (self._asking and self._left and isinstance(self._pace, Closed)):
                self._open(connection, now)
            else:
                self._rest_or_drop(connection, now)

    def _free(self, connection: Connection, now: float) -> None:
        """What an open connection without a request does next."""
        if self._late:
            self._ask(connection, self._late.popleft(), now)
        elif self._asking and self._left and isinstance(self._pace, Closed):
            self._ask(connection, now, now)
        else:
            self._idle.append(connection)

    def _opened(self, connection: Connection) -> None:
        """A new connection takes the request it was opened for, which counts from then."""
        now = time.perf_counter()
        if isinstance(self._pace, Closed) and self._asking and self._left:
            self._ask(connection, max(connection.begun, self._tally.start), now)
        else:
            self._free(connection, now)

    def _ask(self, connection: Connection, begun: float, now: float) -> None:
        if isinstance(self._pace, Closed):
            self._take()
        try:
            connection.send(next(self._source), begun, now)
        except Broken as error:
            self._broken(connection, error.kind, str(error))

    def _take(self) -> None:
        """One request fewer may be sent."""
        if self._left > 0:
            self._left -= 1

    def _ask_idle(self, now: float) -> None:
        """Callers that have nothing to do begin, and those that are missing come."""
        if not isinstance(self._pace, Closed):
            return
        idle, self._idle = self._idle, []
        for connection in idle:
            self._free(connection, now)
        for _ in range(self._pace.callers - len(self._connections)):
            self._open(self._made(), now)

    def _send_due(self, now: float) -> None:
        """Send what is due in an open loop."""
        schedule = self._schedule
        while schedule.moment <= now and self._left:
            self._due(schedule.moment, now)
            schedule.advance()
        if not self._left:
            self._schedule = _Schedule()

    def _due(self, moment: float, now: float) -> None:
        assert isinstance(self._pace, Open)
        self._take()
        if self._idle:
            self._tally.late.record(now - moment)
            self._ask(self._idle.pop(), moment, now)
            return
        self._late.append(moment)
        if len(self._connections) < self._pace.connections:
            self._open(self._made(), moment)

    def _made(self) -> Connection:
        connection = Connection(self._where, self._selector, self._bodiless)
        self._connections.add(connection)
        return connection

    def _open(self, connection: Connection, begun: float) -> None:
        connection.begun = begun
        try:
            connection.open()
        except Broken as error:
            self._broken(connection, error.kind, str(error))

    def _broken(self, connection: Connection, kind: str, text: str) -> None:
        """A connection failed, with a request on it, before one, or with none."""
        now = time.perf_counter()
        request, begun, idle = connection.request, connection.begun, connection.state == IDLE
        connection.shut()
        if idle and request is None:  # the server may close what nobody uses
            with contextlib.suppress(ValueError):
                self._idle.remove(connection)
            self._drop(connection)
            return
        if request is None and isinstance(self._pace, Open):
            if not self._late:
                self._drop(connection)
                return
            begun = self._late.popleft()
        elif request is None:
            self._take()
        if begun >= self._tally.start or request is None:
            self._tally.fail(Failure(kind, text, None if request is None else request.place))
            if kind == TIMEOUT:
                self._tally.latency.record(now - begun)
        elif self._strict:
            self._tally.failures.setdefault(kind, Failure(kind, text, request.place))
        self._rest_or_drop(connection, now)

    def _rest_or_drop(self, connection: Connection, now: float) -> None:
        """A caller stays, and tries again in a moment; a connection of an open loop is opened anew when it is needed."""
        if isinstance(self._pace, Closed):
            self._resting.append((now + _PAUSE, connection))
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        connection.shut()
        self._connections.discard(connection)

    def _look(self, now: float) -> None:
        """Give up what has waited too long; wake callers that have rested."""
        self._next_look = now + min(TICK, self._timeout / 4)
        expired = now - self._timeout
        for connection in list(self._connections):
            opening = SHUT < connection.state < IDLE
            if connection.begun <= expired and (opening or connection.request):
                self._broken(connection, TIMEOUT, f"no answer within {self._timeout:g} s")
        while self._late and self._late[0] <= expired:
            moment = self._late.popleft()
            self._tally.fail(Failure(CROWDED, f"all connections were busy for {self._timeout:g} s", None))
            self._tally.latency.record(now - moment)
        while self._asking and self._left and self._resting and self._resting[0][0] <= now:
            _, connection = self._resting.popleft()
            self._open(connection, now)
        if isinstance(self._pace, Open):
            for moment in list(islice(self._late, self._pace.connections - len(self._connections))):
                self._open(self._made(), moment)
