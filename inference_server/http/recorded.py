"""Which answered requests are recorded: those that failed, and a share of the others.

It sits where the access log does, so a server that records nothing pays nothing for it, and one that does pays for a
look at the requests of a turn of the event loop, all together.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from inference_server.http.refusals import CLIENT_LEFT
from inference_server.messages import DONE, Answer, ScoringRequest
from inference_server.recording.making import Taken
from inference_server.recording.recorder import Recorder
from inference_server.telemetry.access import Access, Entry
from inference_server.telemetry.names import BATCH_REASONS, PHASES
from inference_server.telemetry.phases import phases

TOO_LATE = 408
FAILURES = 256  # that workers told of requests whose answer has not come yet


class RecordedAccess:
    """An access log whose requests are also looked at by a recorder. `share`: of those that succeeded, 0 to 1."""

    def __init__(
        self,
        access: Access,
        recorder: Recorder,
        share: float,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._recorder = recorder
        self._share = share
        self._draw = draw
        self._clock = clock
        self._pass = self._gap()  # so many requests until the next one of the sample
        # The request is kept beside what was told of it, so that its id() stays its own.
        self._failures: dict[int, tuple[ScoringRequest, dict[str, Any]]] = {}

    def failed(self, request: ScoringRequest, failure: dict[str, Any]) -> None:
        """A worker tells, before its answer, why run() failed on `request`: "error", one line, and "place"."""
        if request.state == DONE:  # its caller has left, or a limit has answered
            return
        if len(self._failures) >= FAILURES:
            del self._failures[next(iter(self._failures))]
        self._failures[id(request)] = request, failure

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Access.write`."""
        self._access.write(entries)
        # a streamed answer has no length: it may have broken after its status was sent
        for entry in [entry for entry in entries if entry[1] >= 400 or entry[2] is None]:
            request, answer = entry[7], entry[8]
            if request is not None and answer is not None and _failed(entry[1], request, answer):
                self._take(True, entry, request, answer)
        while self._pass < len(entries):
            entry = entries[self._pass]
            request, answer = entry[7], entry[8]
            if request is not None and answer is not None and _succeeded(entry[1], answer):
                self._take(False, entry, request, answer)
            self._pass += 1 + self._gap()
        self._pass -= len(entries)
        if self._failures:  # one that was run again, with success, has no use for what was told
            for entry in entries:
                self._failures.pop(id(entry[7]), None)

    def _gap(self) -> int:
        """How many requests are passed over before the next one of the sample."""
        if self._share >= 1.0:
            return 0
        if self._share <= 0.0:
            return 1 << 62
        return min(1 << 62, int(math.log(1.0 - self._draw()) / math.log1p(-self._share)))

    def _take(self, failed: bool, entry: Entry, request: ScoringRequest, answer: Answer) -> None:
        _, status, _, _, _, seconds, _, _, _, written = entry
        parts = phases(
            seconds,
            written,
            request.arrived,
            request.received,
            request.sent,
            answer.decode_us,
            answer.exec_ms,
            answer.encode_us,
        )
        batch = request.batch
        shared = None
        if batch is not None:
            reason = BATCH_REASONS[batch.reason]
            shared = {"requests": batch.requests, "rows": batch.rows, "reason": reason}
        _, failure = self._failures.pop(id(request), (None, None))
        self._recorder.offer(
            Taken(
                failed,
                request,
                answer,
                status,
                seconds,
                dict(zip(PHASES, parts, strict=True)),
                shared,
                self._clock(),
                failure,
            )
        )


def _succeeded(status: int, answer: Answer) -> bool:
    return status < 400 and (answer.stream is None or not answer.stream.broken)


def _failed(status: int, request: ScoringRequest, answer: Answer) -> bool:
    """Whether the script or the server failed on a request: one that a worker was given, or that waited past its deadline.

    What was refused before that is not the script's doing: a full server, one that stops, a method that is not
    allowed. Nor is a caller's leaving.
    """
    if answer.stream is not None and status < 400:
        return answer.stream.broken
    return status >= 400 and status != CLIENT_LEFT and (request.sent > 0.0 or status == TOO_LATE)
