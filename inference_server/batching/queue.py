"""Where requests wait: admission, order, and how many leave for one worker. No I/O, time handed in."""

from __future__ import annotations

import heapq
from collections import deque

from inference_server.messages import DONE, WAITING, ScoringRequest

FRAME_SECONDS = 0.001  # predicted run time that one worker may hold: what it holds, nobody else can take
UNKNOWN_RUN_SECONDS = FRAME_SECONDS  # before the first answer: one request at a time
LEAST_RUN_SECONDS = 1e-6  # what a coarse clock shows as nothing
SMOOTHING = 0.05
SLACK = 64  # requests nobody waits for that may be kept, besides as many as are waited for


class Queue:
    """First come, first served, bounded in requests and in bytes.

    A request whose caller has left is done; it is dropped when it comes up, never handed out.
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._waiting: deque[ScoringRequest] = deque()
        self._left = 0  # requests in `_waiting` whose caller has left
        self._bytes = 0
        self._run_seconds = UNKNOWN_RUN_SECONDS

    def __len__(self) -> int:
        return len(self._waiting) - self._left

    @property
    def bytes(self) -> int:
        """Bytes of the bodies that wait."""
        return self._bytes

    def admit(self, request: ScoringRequest) -> bool:
        """Append the request; False when the queue is full (a limit of 0 is none)."""
        if self._max_requests and len(self._waiting) - self._left >= self._max_requests:
            return False
        if self._max_bytes and self._bytes and self._bytes + request.body_bytes > self._max_bytes:
            return False
        self._waiting.append(request)
        self._bytes += request.body_bytes
        return True

    def put_back(self, requests: list[ScoringRequest]) -> None:
        """Requests that a worker had but did not start; they go to the front, in their old order."""
        for request in reversed(requests):
            if request.state != DONE:
                request.state = WAITING
                self._waiting.appendleft(request)
                self._bytes += request.body_bytes

    def left(self, request: ScoringRequest) -> None:
        """The caller of a waiting request is gone. Its memory is freed now, its place when it comes up."""
        self._left += 1
        self._bytes -= request.body_bytes
        request.body = []
        if self._left > len(self) + SLACK:
            self._waiting = deque(waiting for waiting in self._waiting if waiting.state != DONE)
            self._left = 0

    def take(self, count: int) -> list[ScoringRequest]:
        """Up to `count` requests that still wait, oldest first."""
        taken = []
        waiting = self._waiting
        while waiting and count:
            request = waiting.popleft()
            if request.state == DONE:
                self._left -= 1
                continue
            self._bytes -= request.body_bytes
            taken.append(request)
            count -= 1
        return taken

    def learn(self, run_seconds: float) -> None:
        """A run() took this long; frames are cut by what is learned here."""
        self._run_seconds += SMOOTHING * (max(run_seconds, LEAST_RUN_SECONDS) - self._run_seconds)

    def frame(self, in_hand: int, free_workers: int) -> int:
        """How many more requests a worker that has `in_hand` may get now, while `free_workers` have room.

        At most a millisecond of predicted run time, at least one request for an idle worker, and not more
        than its fair share while other workers could take some.
        """
        room = max(1, int(FRAME_SECONDS / self._run_seconds)) - in_hand
        share = -(-len(self) // free_workers)
        return min(room, share)


class Deadlines:
    """When requests run out of time; a heap, so that one timer serves all."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, ScoringRequest]] = []
        self._count = 0
        self._sweep_at = SLACK

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, request: ScoringRequest) -> None:
        """Watch over a request; it is forgotten some time after it is answered."""
        self._count += 1
        heapq.heappush(self._heap, (request.deadline, self._count, request))
        if len(self._heap) > self._sweep_at:
            self._heap = [entry for entry in self._heap if entry[2].state != DONE]
            heapq.heapify(self._heap)
            self._sweep_at = 2 * len(self._heap) + SLACK

    def next(self) -> float | None:
        """The earliest deadline of a request that is not answered, monotonic seconds."""
        while self._heap and self._heap[0][2].state == DONE:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def expired(self, now: float) -> list[ScoringRequest]:
        """Those whose deadline has passed, removed."""
        late = []
        while self._heap and self._heap[0][0] <= now:
            request = heapq.heappop(self._heap)[2]
            if request.state != DONE:
                late.append(request)
        return late
