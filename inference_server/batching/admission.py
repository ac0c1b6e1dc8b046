"""Whether a request is let in: by the time it would wait, not by the length of the line. No I/O, time handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

from inference_server.batching.accuracy import Accuracy, Forecast

PLATFORM_FACTOR = 2  # requests in flight for each one that may be worked on: one more of each may wait

TOO_MANY = "too many requests are in flight for max_concurrent_requests_per_instance"
TOO_LONG = "the predicted wait is longer than max_queue_wait_ms"
TOO_LATE = "the request would miss its deadline"


class Limits(NamedTuple):
    """What the operator allows; 0 is no limit."""

    max_concurrent: int = 0  # requests an instance (here: a worker) works on; twice as many may be in flight
    max_wait: float = 0.0  # seconds from arrival to the start of run()


class Load(NamedTuple):
    """What is being done, as the pool knows it at this moment."""

    in_flight: int  # requests taken in and not answered: those that wait and those in hand
    waiting: float  # rows not started: in the queue, and sent ahead to workers
    busy: Sequence[
        float
    ]  # of each worker in service, predicted seconds until it is free; 0.0 for an idle one


class Refusal(NamedTuple):
    """Why a request is not taken, as its answer tells."""

    status: int
    retry_after: int  # seconds, at least 1: when a request like it is predicted to be taken
    reason: str


class Admission:
    """Predicts how long a request would wait, and refuses those that would wait for nothing.

    `limited` says whether any limit is set. Without one, a request that has no deadline need not be asked about.

    An answer is predicted to come by so much later as SHARE of the answers before it did not pass (`accuracy.margin`).
    Everything that waits is taken to be served before the newcomer, whatever the deadlines: so whoever is let in
    can still be served in time when those after it are more urgent.
    """

    def __init__(
        self, limits: Limits, max_rows: int, seconds: Callable[[float], float], known: Callable[[], bool]
    ) -> None:
        """A worker runs up to `max_rows` rows at a time, in `seconds(rows)`; `known` tells whether that is learned."""
        self.limited = bool(limits.max_concurrent or limits.max_wait)
        self.accuracy = Accuracy()
        self._limits = limits
        self._max_rows = max_rows
        self._seconds = seconds
        self._known = known

    def forecast(self, rows: int, load: Load) -> Forecast:
        """When a request of `rows` rows that comes now would be run.

        Whichever worker is free first takes the next full batch, and is then busy for as long as that takes.
        """
        most = self._max_rows
        full, beside = divmod(load.waiting, most)
        if beside and beside + rows > most:
            full, beside = full + 1, 0.0
        busy = sorted(load.busy) or [0.0]
        rounds, place = divmod(int(full), len(busy))
        wait = busy[place] + rounds * self._seconds(most)
        # As many as came until now will come until it runs, and join its batch.
        joined = (beside + rows) * (2 if wait else 1)
        return Forecast(wait, wait + self._seconds(min(most, max(rows, joined))))

    def refuse(self, now: float, deadline: float, rows: int, load: Load) -> Refusal | None:
        """None when the request may come in. `deadline` is monotonic seconds, 0.0 for none.

        Its body need not have been read: `rows` may come from its length. A request that would be run at once is
        never refused for its time, so that what was learned wrongly is learned anew.
        """
        limits = self._limits
        if limits.max_concurrent:
            most = PLATFORM_FACTOR * limits.max_concurrent * max(1, len(load.busy))
            if load.in_flight >= most:
                return Refusal(429, _seconds(min(load.busy, default=0.0) or self._seconds(1)), TOO_MANY)
        if not (load.waiting or min(load.busy, default=0.0)) or not self._known():
            return None
        forecast = self.forecast(rows, load)
        if limits.max_wait and forecast.wait > limits.max_wait:
            return Refusal(429, _seconds(forecast.wait - limits.max_wait), TOO_LONG)
        if deadline and (late := now + forecast.answer + self.accuracy.margin(forecast) - deadline) > 0:
            return Refusal(429, _seconds(late), TOO_LATE)
        return None


def _seconds(until: float) -> int:
    return max(1, ceil(until))
