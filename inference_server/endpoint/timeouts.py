"""The time a deployment gives to each of its requests, the same for all: so they end in the order in which they came.

A deadline of a request's own orders the queue and is weighed at the door, which costs more than all the rest of the way
to a worker. This is for the time limit that every request has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

from inference_server.messages import DONE, ScoringRequest

SLACK = 1000  # requests that may be kept although they are answered


class Timeouts:
    """Calls `expire(request)` for those that are not done in time."""

    def __init__(self, expire: Callable[[ScoringRequest], None]) -> None:
        self._expire = expire
        self._running: deque[ScoringRequest] = (
            deque()
        )  # by arrival; those that are done leave when they come up
        self._seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # monotonic seconds

    def __len__(self) -> int:
        return len(self._running)

    def add(self, request: ScoringRequest, seconds: float, in_flight: int) -> None:
        """It has `seconds` from its arrival, as have those that run already. There are `in_flight` that do."""
        running = self._running
        while running and running[0].state == DONE:
            running.popleft()
        if len(running) > 2 * in_flight + SLACK:
            running = self._running = deque(one for one in running if one.state != DONE)
        place = len(running)
        while place and running[place - 1].arrived > request.arrived:  # its body took a while to come
            place -= 1
        running.insert(place, request)
        self._seconds = seconds
        if not place:
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._running[0].arrived + self._seconds
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, due - monotonic()), self._look)

    def _look(self) -> None:
        self._timer = None
        running, late = self._running, monotonic() - self._seconds
        while running and (running[0].state == DONE or running[0].arrived <= late):
            request = running.popleft()
            if request.state != DONE:
                self._expire(request)
        if running:
            self._set_timer()

    def close(self) -> None:
        """Nobody is to be ended any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._running.clear()
