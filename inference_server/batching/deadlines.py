"""When requests run out of time. No I/O, time handed in."""

from __future__ import annotations

import heapq

from inference_server.messages import DONE, ScoringRequest

SLACK = 64  # answered requests that may be kept, besides as many as are not


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
