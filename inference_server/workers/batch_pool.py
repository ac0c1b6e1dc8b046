"""The pool of a deployment whose requests may run together: which worker gets how many of them, and when."""

from __future__ import annotations

import asyncio
import sys
from math import ceil
from time import monotonic
from typing import Any

from inference_server.batching.admission import Load
from inference_server.batching.hold import Hold
from inference_server.batching.queue import Queue
from inference_server.batching.rows import Rows
from inference_server.batching.timing import Timings
from inference_server.messages import BatchingReport, ScoringRequest
from inference_server.workers.batch_worker import Batch, BatchCalls, BatchWorker
from inference_server.workers.pool import Observer, Pool
from inference_server.workers.process import Process
from inference_server.workers.requests import ScriptFacts
from inference_server.workers.slot import Slot
from inference_server.workers.spec import PoolSpec
from inference_server.workers.suspects import Suspects
from inference_server.workers.verdicts import Verdict, Verdicts
from inference_server.workers.worker import Worker

SMOOTHING = 0.1
STEAL_SECONDS = 0.002  # what lies ahead in a worker that is done sooner than this is not worth taking back


class BatchPool(Pool):
    """While the workers run requests one by one (their script is being proven, or cannot be merged) it is as any pool.

    Else an idle worker takes all that waits, shared fairly where several are idle. What comes while all are busy
    goes ahead to the worker that is predicted to be free first, as long as it is one batch; more waits here, in
    order. It is taken back only when another worker has nothing to do meanwhile.
    """

    def __init__(self, spec: PoolSpec, queue: Queue, observer: Observer | None = None) -> None:
        super().__init__(spec, queue, observer)
        self.rows = Rows()
        self.timings = Timings()
        self.suspects = Suspects()
        self._max_rows = spec.config.max_batch_size
        self._max_bytes = spec.config.max_batch_bytes or sys.maxsize
        self._hold = Hold(spec.max_queue_delay, self._max_rows, self.timings.overall.predict)
        self._mean_rows = 1.0
        self._verdicts = Verdicts(self._max_rows)
        self._workers: list[BatchWorker] = []  # of this digest or another, ready and not ended
        self._merging = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._batch_calls = BatchCalls(
            self.rows.of,
            self.seconds,
            self.observer.ran,
            self._learn,
            self._proof,
            self._checking_died,
            lambda request: self.suspects.add(request, monotonic()),
            self.observer.again,
        )

    # ------------------------------------------------------------ what is learned

    def arrived(self, request: ScoringRequest, now: float) -> None:
        """A request comes in: it may have to be run alone, and adds to what is known of arrivals."""
        request.lone = len(self.suspects) > 0 and self.suspects.holds(request, now)
        if self._merging:
            self._hold.arrived(now)

    def _learn(self, batch: Batch) -> None:
        rows = batch.rows
        if rows:
            self.rows.observe(batch.requests, rows, batch.body_bytes)
            self._mean_rows += SMOOTHING * (rows / batch.requests - self._mean_rows)
        else:
            rows = batch.requests
        self.timings.observe(_class(rows, batch.body_bytes), rows, batch.seconds)

    def seconds(self, rows: int, body_bytes: int) -> float:
        """What a run() call of so many rows is predicted to take; 0.0: nothing is known."""
        return self.timings.predict(_class(rows, body_bytes), rows)

    def seconds_now(self, rows: float) -> float:
        """The same for requests like those that wait."""
        if not self._merging:
            return rows * self.queue.run_seconds
        waiting, size = len(self.queue), self.queue.bytes
        return (
            self.timings.predict(_class(self.rows.of_many(waiting, size), size), rows)
            if waiting
            else (self.timings.overall.predict(rows))
        )

    def rows_of_body(self, body_bytes: int) -> int:
        return self.rows.of_body(body_bytes)

    @property
    def timed(self) -> bool:
        """Whether it is known what calls take, so that waits can be predicted."""
        return not self._merging or self.timings.overall.seen > 0

    def load(self) -> Load:
        if not self._merging:
            return super().load()
        now = monotonic()
        workers = self._workers_in_service()
        ahead = sum(worker.ahead_rows for worker in workers)
        in_hand = sum(len(worker.in_hand) for worker in workers)
        busy = [worker.remaining(now) for worker in workers]
        return Load(len(self.queue) + in_hand, self._waiting_rows() + ahead, busy)

    def _waiting_rows(self) -> int:
        return self.rows.of_many(len(self.queue), self.queue.bytes)

    # ------------------------------------------------------------ who gets what

    def dispatch(self) -> None:
        """Give waiting requests to the workers that have room."""
        if not self._merging:
            super().dispatch()
            return
        self._scheduled = False
        now = monotonic()
        if not len(self.queue):
            self._balance(now)
            return
        workers = [worker for worker in self._workers_in_service() if worker.room()]
        if self._holds(now):  # only those that join what is to be run next anyway leave before that
            workers = [worker for worker in workers if worker.holds_ahead()]
        held = self._hold.over
        idle = [worker for worker in workers if not worker.in_hand]
        while idle and len(self.queue):
            share = ceil(self._waiting_rows() / len(idle))
            worker = idle.pop()
            self._give(worker, min(share, worker.space().rows), self._max_bytes, True, now)
            if held:
                worker.note_held()
        if len(self.queue):
            if len(workers) > 1:
                workers.sort(key=lambda worker: worker.remaining(now))
            for worker in workers:
                rows, size, fresh = worker.space()
                if rows > 0 and size > 0:
                    self._give(worker, rows, size, fresh, now)

    def _holds(self, now: float) -> bool:
        """Whether those that wait are to wait for others; then the timer is set."""
        until = self._hold.until(
            self.queue, self._waiting_rows(), now, self._mean_rows, max(1, len(self._serving))
        )
        if until:
            self._look_again(until)
        return until > 0

    def _give(self, worker: BatchWorker, rows: int, size: int, force: bool, now: float) -> None:
        requests = self.queue.take_rows(rows, size, self.rows.of, force)
        if requests:
            worker.send(requests, now)

    def _workers_in_service(self) -> list[BatchWorker]:
        serving = self._serving
        return [worker for worker in self._workers if worker in serving]

    def _balance(self, now: float) -> None:
        """Nothing waits here. Does something wait ahead in a busy worker, that an idle one could run now?"""
        workers = self._workers_in_service()
        if len(workers) < 2 or not any(worker.room() and not worker.in_hand for worker in workers):
            return
        loaded = [worker for worker in workers if worker.in_hand and worker.holds_ahead()]
        if not loaded:
            return
        slowest = max(loaded, key=lambda worker: worker.remaining(now))
        if slowest.remaining(now) > STEAL_SECONDS:
            slowest.recall()  # they come back to the queue, and so to the idle one
        else:
            self._look_again(now + STEAL_SECONDS)

    def _look_again(self, at: float) -> None:
        """Dispatch at `at`, monotonic seconds, or before."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at  # a handle of uvloop may not know when it is due
        self._timer = self._loop.call_later(at - monotonic(), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.dispatch()

    def left(self, request: ScoringRequest) -> None:
        for worker in self._workers:
            if worker.in_hand.get(request.seq) is request:
                worker.left(request)

    # ------------------------------------------------------------ workers and what they find out

    def _worker(self, number: int, process: Process, spec: PoolSpec) -> Worker:
        return BatchWorker(number, process, spec, self._calls, self._batch_calls)

    def _enter(self, slot: Slot, worker: Worker) -> None:
        assert isinstance(worker, BatchWorker)
        self._workers.append(worker)
        self._tell(worker, self._verdicts.ready(worker.facts))
        super()._enter(slot, worker)
        self._merging = self._all_merge()

    def _gone(self, slot: Slot, worker: Worker) -> None:
        self._workers = [other for other in self._workers if other is not worker]
        super()._gone(slot, worker)
        self._merging = self._all_merge()

    def _tell(self, worker: BatchWorker, verdict: Verdict) -> None:
        worker.merge(verdict.merges)
        if verdict.final:
            worker.as_any()
        record = verdict.record()
        if record is not None and worker.facts.batching.get("proof"):
            worker.tell(record)

    def _proof(self, facts: ScriptFacts, proof: dict[str, Any]) -> None:
        self._spread(facts, self._verdicts.told(facts, proof))

    def _checking_died(self, facts: ScriptFacts, by_others: bool) -> None:
        self._spread(facts, self._verdicts.checking_died(facts, by_others))

    def _spread(self, facts: ScriptFacts, verdict: Verdict | None) -> None:
        if verdict is None:
            return
        for worker in self._workers:
            if worker.facts.digest == facts.digest and not worker.ended.done():
                self._tell(worker, verdict)
        self._merging = self._all_merge()

    def _all_merge(self) -> bool:
        workers = self._workers_in_service()
        return bool(workers) and all(worker.merging for worker in workers)

    def batching(self) -> BatchingReport | None:
        return self._verdicts.report()


def _class(rows: int, body_bytes: int) -> int:
    """Bodies of about the same bytes a row take about the same time a row."""
    return (body_bytes // max(1, rows)).bit_length()
