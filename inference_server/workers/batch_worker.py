"""A worker that runs requests together: what it may hold, what its batches tell, and who is to blame when it dies."""

from __future__ import annotations

import json
import logging
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from inference_server.lifecycle import WorkerState
from inference_server.messages import Answer, ScoringRequest
from inference_server.scoring import wire
from inference_server.workers.end import by_others
from inference_server.workers.process import Process
from inference_server.workers.requests import ScriptFacts, encode
from inference_server.workers.spec import PoolSpec
from inference_server.workers.worker import LIVES, Calls, Worker

SHARED_LINE = "Worker %d ended while %d requests shared its run() call: %s"

logger = logging.getLogger("azmlinfsrv")


class Batch(NamedTuple):
    """One run() call. `rows` is 0 where the worker does not know them; `body_bytes` 0 while they are not known."""

    requests: int
    rows: int
    run_seconds: float
    decode_seconds: float
    encode_seconds: float
    reason: int  # wire.FULL and its neighbours
    body_bytes: int = 0

    @property
    def seconds(self) -> float:
        """How long it occupied its worker."""
        return self.run_seconds + self.decode_seconds + self.encode_seconds


@dataclass(frozen=True)
class BatchCalls:
    """What a worker that batches tells its pool, besides `Calls`."""

    rows_of: Callable[[ScoringRequest], int]  # predicted
    seconds: Callable[[int, int], float]  # predicted for a batch of so many rows and bytes; 0.0: unknown
    ran: Callable[[Batch], None]  # a run() call came to its end
    learn: Callable[[Batch], None]  # the same, once the bytes of its requests are known
    proof: Callable[[ScriptFacts, dict[str, Any]], None]  # a worker with such a script sent a PROOF
    checking_died: Callable[
        [ScriptFacts, bool], None
    ]  # while it compared answers; True: perhaps by others' doing
    suspect: Callable[[ScoringRequest], None]  # a request that was run alone took its worker with it
    again: Callable[[int], None]  # so many requests are run once more, each alone


class Space(NamedTuple):
    """What may still be sent to a worker. `fresh`: nothing lies ahead that it would join."""

    rows: int
    bytes: int
    fresh: bool


def encode_marked(request: ScoringRequest, facts: ScriptFacts, pieces: list[bytes]) -> int:
    """See `requests.encode`; a request that is to be run alone says so."""
    at = len(pieces)
    size = encode(request, facts, pieces)
    if request.lone:
        record = pieces[at]
        pieces[at] = record[:1] + bytes([record[1] | wire.LONE]) + record[2:]
    return size


class BatchWorker(Worker):
    """Holds what it runs and one next batch ahead, so that it never waits for the front.

    Without a page nobody can see what it has begun: then it gets a batch when it has nothing, and all of that
    counts as begun.
    """

    _encode = staticmethod(encode_marked)

    def __init__(
        self, number: int, process: Process, spec: PoolSpec, calls: Calls, batch_calls: BatchCalls
    ) -> None:
        super().__init__(number, process, spec, calls)
        self.merging = False  # whether it may run requests together yet
        self._batches = True  # whether it ever may
        self.ahead_rows = 0  # of requests sent and not begun
        self._ahead_bytes = 0
        self._ahead: deque[tuple[int, int, int]] = deque()  # seq, rows and bytes of each of them
        self._running_rows = 0  # of what it began last
        self._running_bytes = 0
        self._max_rows = spec.config.max_batch_size
        self._max_bytes = spec.config.max_batch_bytes or sys.maxsize
        self._reexecutes = spec.config.batch_reexecution
        self._batch_calls = batch_calls
        self._batch: Batch | None = None  # whose answers are coming in
        self._batch_answers = 0
        self._batch_bytes = 0
        self._held = 0  # seq of the last request that was held until the wait was over
        self._turned = 0.0  # when it last came to the end of a run() call, as far as the front knows

    @property
    def facts(self) -> ScriptFacts:
        """What it said of its script; nothing until it is ready."""
        return self._facts

    # ------------------------------------------------------------ sending

    def space(self) -> Space:
        """How much it may be given; to be asked when there is `room`."""
        if not self.in_hand:
            return Space(self._max_rows, self._max_bytes, True)
        if self._page is None:
            return Space(0, 0, False)
        self._see()
        batches = (
            1 if next(iter(self.in_hand)) <= self._page.mark else 2
        )  # what it is about to begin is not ahead
        rows = batches * self._max_rows - self.ahead_rows
        size = batches * self._max_bytes - self._ahead_bytes
        return Space(min(rows, self._max_rows), min(size, self._max_bytes), not self._ahead)

    def _see(self) -> None:
        """Note what it has begun since the last look."""
        ahead = self._ahead
        if self._page is None or not ahead or ahead[0][0] > self._page.mark:
            return
        mark = self._page.mark
        self._running_rows = self._running_bytes = 0
        while ahead and ahead[0][0] <= mark:
            _, rows, size = ahead.popleft()
            self.ahead_rows -= rows
            self._ahead_bytes -= size
            if self.merging:
                self._running_rows += rows
                self._running_bytes += size
            else:  # the last is the one that runs
                self._running_rows, self._running_bytes = rows, size

    def send(self, requests: list[ScoringRequest], now: float) -> None:
        """Hand over `requests`, in order, in one write; those that are to be run alone are marked."""
        page = self._page
        if page is not None and self._batches:
            seq = self._seq
            for request in requests:
                seq += 1
                rows, size = self._batch_calls.rows_of(request), request.body_bytes
                page.wanted(seq)
                self._ahead.append((seq, rows, size))
                self.ahead_rows += rows
                self._ahead_bytes += size
        super().send(requests, now)

    def note_held(self) -> None:
        """What it was sent last, when it had nothing, had been held for others to come."""
        self._held = self._seq

    def left(self, request: ScoringRequest) -> None:
        """The caller of a request in hand is gone: it is not run, unless it is running."""
        if self._page is not None:
            self._page.left(request.seq)

    def merge(self, on: bool) -> None:
        """Whether it runs requests together from now on; else they are sent as to any other worker."""
        said = self._facts.batching
        self._max_rows = min(self._max_rows, said.get("rows") or self._max_rows)
        self._reexecutes = self._reexecutes and said.get("reexecute", True)
        self.merging = on
        self._frames = self._page is not None and not on

    def as_any(self) -> None:
        """It will never run requests together: it is sent them as any other worker, at no more cost."""
        self._batches = False
        self._encode = encode
        self._ahead.clear()
        self.ahead_rows = self._ahead_bytes = 0

    def tell(self, verdict: dict[str, Any]) -> None:
        """What all workers with its script have found out about it."""
        body = json.dumps(verdict).encode()
        record = wire.TO_WORKER.pack(wire.VERDICT, 0, 0, 0, 0, len(body)) + body
        self._channel.send([record], len(record))

    # ------------------------------------------------------------ predictions

    def remaining(self, now: float) -> float:
        """Seconds until it is done with what it has begun, as predicted; overdue: as long again as it is late."""
        if not self.in_hand:
            return 0.0
        self._see()
        rows, size = self._running_rows, self._running_bytes
        began = self.since
        if self._page is not None:
            mark, taken, _ = self._page.running()
            if next(iter(self.in_hand)) <= mark:
                began = taken
            else:  # what it is about to begin
                rows, size, began = min(self.ahead_rows, self._max_rows), self._ahead_bytes, now
        return abs(began + self._batch_calls.seconds(rows, size) - now)

    def holds_ahead(self) -> bool:
        """Whether something lies in it that it has not begun, and is not about to."""
        self._see()
        page = self._page
        return page is not None and bool(self._ahead) and next(iter(self.in_hand)) <= page.mark

    def recall(self) -> None:
        """Take back what it has not begun."""
        if self._page is not None and not self._recalled:
            self._recall()
            self._ahead.clear()
            self.ahead_rows = self._ahead_bytes = 0

    # ------------------------------------------------------------ records

    def _told(self, kind: int, seq: int, body: bytes) -> None:
        if kind == wire.BATCH:
            self._turned = monotonic()
            batch = Batch(*wire.BATCH_FACTS.unpack(body))
            if (
                seq == self._held and batch.reason == wire.IDLE
            ):  # the worker took all there was: it cannot know
                batch = batch._replace(reason=wire.DEADLINE)
            self._batch = batch
            self._batch_answers, self._batch_bytes = batch.requests, 0
            self._loop.call_soon(self._batch_calls.ran, batch)  # the answers come first
        elif kind == wire.PROOF:
            self._batch_calls.proof(self._facts, json.loads(body))
        else:
            super()._told(kind, seq, body)

    def _finish(self, seq: int) -> ScoringRequest | None:
        request = super()._finish(seq)
        batch = self._batch
        if batch is not None and request is not None:
            request.batch = batch
            self._batch_bytes += request.body_bytes
            self._batch_answers -= 1
            if not self._batch_answers:
                self._batch = None
                self._loop.call_soon(self._batch_calls.learn, batch._replace(body_bytes=self._batch_bytes))
        return request

    # ------------------------------------------------------------ time limits, see Watch

    def running(self) -> list[tuple[int, float, float]]:
        """See `Worker.running`; of what runs together, one stands for all."""
        if not self.in_hand:
            return []
        seq = self._alone() or next(iter(self.in_hand))
        request = self.in_hand[seq]
        if seq in self._streams:
            return []
        since = max(request.sent, self._turned)
        if self._page is None:
            return [(seq, since, since)]
        mark, taken, began = self._page.running()
        if seq <= mark:
            return [(seq, taken, began)]
        return [(seq, since, since if self._page.checking else 0.0)]  # it waits for the end of a comparison

    def _begun(self) -> list[int]:
        """Those in hand that it has begun, or might have."""
        mark = self._page.mark if self._page is not None else self._seq
        return [seq for seq in self.in_hand if seq <= mark and seq not in self._streams]

    def _alone(self) -> int:
        """Seq of the request that has a run() call to itself now; 0: several share one, or nobody knows."""
        if self._page is not None and self._page.alone in self.in_hand:
            return self._page.alone
        begun = self._begun()
        if self._page is None and (self._streams or not begun or not self.in_hand[begun[0]].lone):
            return 0
        return begun[0] if len(begun) == 1 or self._page is None else 0

    def stalled(self, seq: int, answer: Answer) -> None:
        """A call passed the scoring timeout. Who has it alone is answered; of several nobody, as long as they will
        be run once more when it does not stop."""
        begun = self._begun()
        if not begun:
            self.kill("answers were being compared, and run() did not stop at the scoring timeout")
            return
        if seq == self._alone():
            super().stalled(seq, answer)
        else:
            for other in () if self._reexecutes else begun:
                self.in_hand[other].resolve(answer)
            self._stalled.add(seq)
            self._move(
                WorkerState.STALLED, "a run() of several requests passed the scoring timeout and goes on"
            )
        self.recall()

    def has_neighbours(self, seq: int) -> bool:
        """Nobody else's run() call goes on beside the one that hangs."""
        return False

    # ------------------------------------------------------------ the end

    def _sort_in_hand(self, status: int) -> tuple[list[ScoringRequest], list[ScoringRequest]]:
        """Those to fail, and those another worker runs: once more and each alone, if one of them may be to blame."""
        begun, alone = self._begun(), self._alone()
        failed: list[int] = []
        if self._page is not None and self._page.checking:
            self._batch_calls.checking_died(self._facts, by_others(status, self.killed_because))
        elif alone:
            failed = [] if alone in self._streams else [alone]
        elif not self._reexecutes:
            failed = begun
            if len(begun) > 1:
                logger.warning(SHARED_LINE, self.number, len(begun), "all of them fail, as was asked for")
        else:
            failed = self._mark_lone(begun)
        guilty = [self.in_hand.pop(seq) for seq in failed]
        back = [request for seq, request in self.in_hand.items() if seq not in self._streams]
        self.in_hand.clear()
        if len(guilty) == 1:
            self._batch_calls.suspect(guilty[0])
        return guilty, back

    def _mark_lone(self, begun: list[int]) -> list[int]:
        """Have each run alone; returns those that have been marked and lost too often to be tried again."""
        spent = []
        for seq in begun:
            request = self.in_hand[seq]
            request.lost += request.lone
            request.lone = True
            if request.lost >= LIVES:
                spent.append(seq)
        if len(begun) > 1:
            logger.warning(SHARED_LINE, self.number, len(begun), "each is run once more, alone")
        self._batch_calls.again(len(begun) - len(spent))
        return spent
