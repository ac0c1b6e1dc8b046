"""What all connections of one server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any, Protocol

from inference_server.endpoint.endpoint import Endpoint
from inference_server.http.answers import AnswerHeads
from inference_server.http.cors import Cors
from inference_server.http.head import KnownHeads
from inference_server.http.limits import Limits
from inference_server.messages import Answer
from inference_server.telemetry.insights import Insights
from inference_server.telemetry.ledger import Ledger
from inference_server.telemetry.metrics import Metrics

AsgiApp = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Timeouts:
    """Seconds; `inf` is none."""

    header: float = 20.0  # from the first byte of a request to the end of its head
    body: float = 60.0  # without progress
    keep_alive: float = 75.0  # idle between requests
    write: float = 60.0  # without progress, while the client takes nothing

    @property
    def sweep(self) -> float:
        """How often connections are held against these."""
        shortest = min(self.header, self.body, self.keep_alive, self.write)
        return min(1.0, max(0.02, shortest / 4))


@dataclass
class Site:
    """The engine behind the connections, and everything an answer needs besides."""

    endpoint: Endpoint
    app: AsgiApp  # every route but the scoring one
    health_app: AsgiApp
    probes: Mapping[str, Callable[[], Answer]]  # health by path, answered with no detour over the application
    heads: AnswerHeads
    cors: Cors
    ledger: Ledger
    metrics: Metrics  # of all routes but the scoring one
    warn: Callable[[str], None]  # one log line about a request
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    health_port: int = 0  # a listener on this port serves health only; 0: none does
    max_connections: int = 0
    request_timeout: float = 0.0  # seconds from arrival; 0: none
    insights: Insights | None = None  # while Application Insights is on

    server_timing: bool = False  # on every answer, not only where the request asks for it
    adds_lines: bool = field(init=False)  # whether each answer to the scoring route has lines of its request

    known_heads: KnownHeads = field(init=False)

    def __post_init__(self) -> None:
        self.known_heads = KnownHeads(self.limits)
        self.adds_lines = self.cors.on or self.server_timing


class Timed(Protocol):
    """A connection that may run out of time."""

    due: float

    def overdue(self, now: float) -> None: ...


class Sweep:
    """One timer for the time limits of all connections; none while there is no connection.

    A timer for each request would cost more than parsing it.
    """

    def __init__(self, seconds: float, connections: Iterable[Timed]) -> None:
        self._seconds = seconds
        self._connections = connections
        self._running = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._running:
            self._running = True
            loop.call_later(self._seconds, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = monotonic()
        connections = list(self._connections)
        for connection in connections:
            if connection.due < now:
                connection.overdue(now)
        self._running = False
        if connections:
            self.start(loop)


NEVER = inf
