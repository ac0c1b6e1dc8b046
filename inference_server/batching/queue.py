"""Where requests wait: their order, the bounds, and how many leave for one worker. No I/O, time handed in."""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Callable

from inference_server.batching.deadlines import SLACK, Deadlines
from inference_server.messages import DONE, WAITING, ScoringRequest

__all__ = ["FRAME_SECONDS", "HORIZON_SECONDS", "SLACK", "Deadlines", "Queue"]

FRAME_SECONDS = 0.001  # predicted run time that one worker may hold: what it holds, nobody else can take
UNKNOWN_RUN_SECONDS = FRAME_SECONDS  # before the first answer: one request at a time
LEAST_RUN_SECONDS = 1e-6  # what a coarse clock shows as nothing
SMOOTHING = 0.05
HORIZON_SECONDS = (
    5.0  # a request without a deadline stands in line as if it were due so long after its arrival
)


class Queue:
    """Who is due first is served first, bounded in requests and in bytes.

    A request with a deadline is due then. One without is due HORIZON_SECONDS after its arrival: among
    themselves those are served in order of arrival, and however many with deadlines come after it, none
    that is due later than that passes it, so it never starves. Of two that are due at the same moment the
    one that arrived first is first. A request's deadline must not change while it waits.

    A request whose caller has left is done; it is dropped when it comes up, never handed out.
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests or sys.maxsize
        self._max_bytes = max_bytes or sys.maxsize
        # Without a deadline the order of arrival is the order of service: a deque. Those with one are a heap
        # of (deadline, arrived, tie, request). Both may hold requests whose callers have left.
        self._waiting: deque[ScoringRequest] = deque()
        self._timed: list[tuple[float, float, int, ScoringRequest]] = []
        self._tie = 0
        self._count = 0
        self._bytes = 0
        self._run_seconds = UNKNOWN_RUN_SECONDS

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        """Bytes of the bodies that wait."""
        return self._bytes

    def fits(self, body_bytes: int) -> bool:
        """Whether a request with such a body would be admitted now; for a look before the body is read."""
        if self._count >= self._max_requests:
            return False
        return not self._bytes or self._bytes + body_bytes <= self._max_bytes

    def admit(self, request: ScoringRequest) -> bool:
        """Have the request wait; False when the queue is full (a limit of 0 is none)."""
        size = self._bytes + request.body_bytes
        if self._count >= self._max_requests or (size > self._max_bytes and self._bytes):
            return False
        if request.deadline:
            self._tie += 1
            heapq.heappush(self._timed, (request.deadline, request.arrived, self._tie, request))
        else:
            self._waiting.append(request)
        self._bytes = size
        self._count += 1
        return True

    def put_back(self, requests: list[ScoringRequest]) -> None:
        """Requests that a worker had but did not start; they stand before all others that are due as they are."""
        for request in reversed(requests):
            if request.state == DONE:
                continue
            request.state = WAITING
            if request.deadline:
                self._tie += 1
                heapq.heappush(self._timed, (request.deadline, request.arrived, -self._tie, request))
            else:
                self._waiting.appendleft(request)
            self._bytes += request.body_bytes
            self._count += 1

    def left(self, request: ScoringRequest) -> None:
        """The caller of a waiting request is gone. Its memory is freed now, its place when it comes up."""
        self._count -= 1
        self._bytes -= request.body_bytes
        request.body = []
        if len(self._waiting) + len(self._timed) > 2 * self._count + SLACK:
            self._waiting = deque(waiting for waiting in self._waiting if waiting.state != DONE)
            self._timed = [entry for entry in self._timed if entry[3].state != DONE]
            heapq.heapify(self._timed)

    # ------------------------------------------------------------ leaving

    def take(self, count: int) -> list[ScoringRequest]:
        """Up to `count` requests that still wait, in order."""
        if self._timed:
            return self._take_ordered(count)
        taken = []
        size = 0
        waiting = self._waiting
        while waiting and count:
            request = waiting.popleft()
            if request.state != DONE:
                size += request.body_bytes
                taken.append(request)
                count -= 1
        self._bytes -= size
        self._count -= len(taken)
        return taken

    def _take_ordered(self, count: int) -> list[ScoringRequest]:
        taken: list[ScoringRequest] = []
        while len(taken) < count and (request := self.first()) is not None:
            self._remove_first(request)
            taken.append(request)
        return taken

    def take_rows(
        self, max_rows: int, max_bytes: int, rows_of: Callable[[ScoringRequest], int], force: bool = True
    ) -> list[ScoringRequest]:
        """As many requests, in order, as have no more than `max_rows` rows and `max_bytes` bytes together.

        `rows_of` predicts the rows of a request, at least 1. The first one that does not fit ends the batch:
        nobody is passed over for being large. With `force` one request leaves even when it alone is over a
        limit (its batch is cut by the worker); without, none may (it would join others that were sent before).
        """
        taken: list[ScoringRequest] = []
        while (request := self.first()) is not None:
            max_rows -= rows_of(request)
            max_bytes -= request.body_bytes
            if (max_rows < 0 or max_bytes < 0) and (taken or not force):
                break
            self._remove_first(request)
            taken.append(request)
        return taken

    def first(self) -> ScoringRequest | None:
        """The next that leaves; it stays where it is."""
        waiting, timed = self._waiting, self._timed
        while waiting and waiting[0].state == DONE:
            waiting.popleft()
        while timed and timed[0][3].state == DONE:
            heapq.heappop(timed)
        if not timed:
            return waiting[0] if waiting else None
        if waiting and waiting[0].arrived + HORIZON_SECONDS <= timed[0][0]:
            return waiting[0]
        return timed[0][3]

    def _remove_first(self, request: ScoringRequest) -> None:
        if request.deadline:
            heapq.heappop(self._timed)
        else:
            self._waiting.popleft()
        self._bytes -= request.body_bytes
        self._count -= 1

    def arrived(self) -> float:
        """When the oldest of those that wait arrived; infinity when none does. As slow as many have deadlines."""
        first = self.first()
        if first is None:
            return float("inf")
        if not self._timed:
            return first.arrived
        ages = [entry[1] for entry in self._timed if entry[3].state != DONE]
        return (
            min(ages, default=first.arrived) if not self._waiting else min([*ages, self._waiting[0].arrived])
        )

    def due(self) -> float:
        """The earliest deadline of those that wait; infinity when none has one."""
        self.first()
        return self._timed[0][0] if self._timed else float("inf")

    # ------------------------------------------------------------ frames of requests that are run one by one

    def learn(self, run_seconds: float) -> None:
        """A run() took this long; frames are cut by what is learned here."""
        self._run_seconds += SMOOTHING * (max(run_seconds, LEAST_RUN_SECONDS) - self._run_seconds)

    @property
    def run_seconds(self) -> float:
        """What a run() is predicted to take."""
        return self._run_seconds

    def frame(self, in_hand: int, free_workers: int) -> int:
        """How many more requests a worker that has `in_hand` may get now, while `free_workers` have room.

        At most a millisecond of predicted run time, at least one request for an idle worker, and not more
        than its fair share while other workers could take some.
        """
        room = max(1, int(FRAME_SECONDS / self._run_seconds)) - in_hand
        share = -(-self._count // free_workers)
        return min(room, share)
