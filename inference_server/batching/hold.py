"""Whether requests that wait are held for others to come: by the wait that was asked for, or by the one that pays."""

from __future__ import annotations

from collections.abc import Callable

from inference_server.batching.company import Company
from inference_server.batching.queue import Queue
from inference_server.batching.wait import Wait
from inference_server.batching.window import Window
from inference_server.scoring import wire


class Hold:
    """A window: of `max_delay` seconds where that is given; else learned, and spent only while it finds company."""

    def __init__(self, max_delay: float, max_rows: int, seconds: Callable[[float], float]) -> None:
        """`seconds` predicts what a batch of so many rows takes."""
        self._window = Window(max_delay, max_rows, seconds)
        self._wait = None if max_delay else Wait(max_rows, seconds)
        self._company = Company()
        self._holding = False
        self.over = False  # whether those that may leave, as `until` said last, were held until now

    @property
    def delay(self) -> float:
        """Seconds that the oldest request is held now."""
        return self._window.max_delay

    def arrived(self, now: float) -> None:
        """A request came in."""
        if self._wait is not None:
            self._wait.arrived(now)
            self._company.arrived(now, self._wait.delay)

    def until(self, queue: Queue, rows: int, now: float, mean_rows: float = 1.0, workers: int = 1) -> float:
        """Until when those in `queue` are held (monotonic seconds); 0.0: they leave as soon as a worker has room.

        `rows` is how many they have together, `mean_rows` what requests have of late. Ask when a request came, when
        a worker has room and when the time is over. Those that can join what a worker has been sent, and not
        begun, need not be held.
        """
        if self._wait is not None:
            self._wait.learn(now, mean_rows, workers)
            self._window.max_delay = self._wait.delay if self._company.likely else 0.0
        self.over = False
        if self._window.max_delay:
            leave = self._window.leave(queue, rows, now)
            if leave.at > now:
                self._holding = True
                return leave.at
            self.over = self._holding and leave.reason == wire.DEADLINE
        if self._holding:
            self._holding = False
            self._company.waited(len(queue))
        elif len(queue) == 1:
            self._company.left_alone(now)
        return 0.0
