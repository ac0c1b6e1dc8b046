"""When requests that wait for a free worker leave, and why. No I/O, no clock: the caller keeps one timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from inference_server.batching.queue import Queue
from inference_server.scoring import wire


class Leave(NamedTuple):
    """When the waiting requests should leave (monotonic seconds; not after `now`: at once), and the reason then."""

    at: float
    reason: int  # wire.FULL, wire.IDLE or wire.DEADLINE


class Window:
    """The wait that was asked for: the oldest request is held up to `max_delay` seconds, or until a batch is full.

    Without one (0.0, the default) requests leave as soon as a worker has room for them. A request's own deadline
    ends the wait early enough for the batch to be run before it.

    The caller asks `leave` when a request came, when a worker has room and when its timer rings, and sets that
    one timer to what it says. The answer only moves to an earlier time when requests come, so a timer that is
    set again on each of those is never late.
    """

    def __init__(self, max_delay: float, max_rows: int, seconds: Callable[[float], float]) -> None:
        """`seconds` predicts what a batch of so many rows takes."""
        self.max_delay = max_delay
        self._max_rows = max_rows
        self._seconds = seconds

    def leave(self, queue: Queue, rows: int, now: float) -> Leave:
        """When those in `queue`, of `rows` rows together, leave for a worker that has room; never when none waits."""
        if not len(queue):
            return Leave(float("inf"), wire.IDLE)
        if rows >= self._max_rows:
            return Leave(now, wire.FULL)
        if not self.max_delay:
            return Leave(now, wire.IDLE)
        at = queue.arrived() + self.max_delay
        due = queue.due()
        if due < float("inf"):
            at = min(at, due - self._seconds(rows))
        return Leave(at, wire.DEADLINE)
