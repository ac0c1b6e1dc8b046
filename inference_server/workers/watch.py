"""The time limits of what a worker runs, kept by the front whatever the worker does."""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from inference_server.workers.answers import timed_out
from inference_server.workers.spec import PoolSpec
from inference_server.workers.stream import Stream

if TYPE_CHECKING:
    from inference_server.workers.worker import Worker

SLACK_SECONDS = 0.003  # the worker's own timer goes first, since it knows where run() stood
NEIGHBOUR_SECONDS = 0.05  # how often a stalled worker is looked at whose other threads still run
LEAST_SECONDS = 0.0005


class Watch:
    """One timer, which runs only while the worker has something in hand.

    The scoring timeout counts from the start of run(); at the limit the caller is answered, and a worker that
    goes on for the grace is killed. WORKER_TIMEOUT counts from when the worker took the request, and kills; in a
    stream it counts anew with every chunk.
    """

    def __init__(self, worker: Worker, spec: PoolSpec, loop: asyncio.AbstractEventLoop) -> None:
        self.timer: asyncio.TimerHandle | None = None
        self._worker = worker
        self._loop = loop
        self._scoring = spec.scoring_timeout + SLACK_SECONDS if spec.scoring_timeout > 0 else 0.0
        self._worker_timeout = spec.worker_timeout
        self._grace = spec.stall_grace
        self._limit_ms = spec.config.scoring_timeout_ms
        limits = [limit for limit in (self._scoring, self._worker_timeout) if limit > 0]
        self._first = min(limits, default=0.0)

    def start(self) -> None:
        """To be called when the worker gets something, unless `timer` is set."""
        if self._first:
            self.timer = self._loop.call_later(self._first, self._look)

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def _look(self) -> None:
        """Hold what runs against its limits, and come back when the next one could pass."""
        self.timer = None
        worker = self._worker
        now = monotonic()
        again = now + self._first
        read = False
        for seq, taken, began in worker.running():
            limits = (
                taken + self._worker_timeout if self._worker_timeout > 0 else again,
                began + self._scoring if began and self._scoring else again,
            )
            if now >= min(limits) and not read:
                worker.catch_up()  # this process may be the late one, and the answer lie in the socket
                read = True
            if seq not in worker.in_hand:
                continue
            if now >= limits[0]:
                worker.kill(f"one request took longer than WORKER_TIMEOUT, {self._worker_timeout:g} s")
                return
            again = min(again, limits[0], limits[1] if now < limits[1] else self._late(seq, limits[1], now))
        for stream in worker.streams():
            due = self._stream_due(stream)
            if now >= due:
                worker.kill(
                    "a generator made no progress for WORKER_TIMEOUT, or went on after its reader had left"
                )
                return
            again = min(again, due)
        if worker.in_hand:  # else the next request starts the watch again
            self.timer = self._loop.call_later(max(again - now, LEAST_SECONDS), self._look)

    def _stream_due(self, stream: Stream) -> float:
        """Until when a generator may take for its next chunk; what it owes to a slow reader does not count.

        One whose reader has left is given what a run() would get, since it can end only where it yields.
        """
        limits = []
        if self._worker_timeout > 0 and not stream.waits_for_reader:
            limits.append(stream.progress + self._worker_timeout)
        if stream.left_at and self._scoring:
            limits.append(stream.left_at + self._scoring + self._grace)
        return min(limits, default=inf)

    def _late(self, seq: int, due: float, now: float) -> float:
        """Answer for a run() that was to end at `due`; returns when to look again."""
        worker = self._worker
        worker.stalled(seq, timed_out(self._limit_ms))
        kill_at = due + self._grace
        if now < kill_at:
            return kill_at
        if worker.has_neighbours(seq):
            return now + NEIGHBOUR_SECONDS
        worker.kill(f"run() did not stop within {self._grace:g} s after the scoring timeout")
        return now + self._first
