"""One worker as the front sees it: what it has in hand, how long it takes, and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from inference_server.lifecycle import WORKER_MOVES, Life, WorkerState
from inference_server.messages import DONE, SENT, Answer, ScoringRequest
from inference_server.scoring import wire
from inference_server.workers.answers import script_crashed, timed_out
from inference_server.workers.channel import FrontChannel
from inference_server.workers.process import Process
from inference_server.workers.requests import ScriptFacts, encode
from inference_server.workers.spec import PoolSpec
from inference_server.workers.stream import Stream

NO_PROGRESS_SECONDS = 0.005  # in this time a frame should have been answered; then the rest is withdrawn
SETTLE_SECONDS = 0.001  # the worker has surely seen a withdrawal, or shown its mark, after this
LIMIT_SLACK_SECONDS = 0.003  # the worker's own timer goes first, since it knows where run() stood

logger = logging.getLogger("azmlinfsrv")

CONTENT_TYPES = tuple(text.encode() for text in wire.CONTENT_TYPES)
FAILED = {0: None, wire.FAILED_FALSE: False, wire.FAILED_TRUE: True}
FAILED_BITS = wire.FAILED_FALSE | wire.FAILED_TRUE


@dataclass(frozen=True)
class End:
    """How a worker ended. `summary` is one line; empty when it was asked to."""

    status: int  # exit code, or minus the signal
    summary: str
    detail: str = ""


@dataclass(frozen=True)
class Calls:
    """What a worker tells its pool."""

    progress: Callable[[], None]  # answers came: there is room again
    put_back: Callable[[list[ScoringRequest]], None]  # requests that were not started
    learn: Callable[[float], None]  # one run() took so many seconds
    log: Callable[[dict[str, Any], ScoringRequest | None], None]  # a record for the front's exporters
    timeout: Callable[[], None]  # run() passed the scoring timeout


class Worker:
    """Made when its process has started; `ready` and `ended` are its two futures."""

    def __init__(self, number: int, process: Process, spec: PoolSpec, calls: Calls) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.pid = process.pid
        self.life = Life(WorkerState.STARTING, WORKER_MOVES)
        self.since = monotonic()
        self.doing = "the interpreter is starting"
        self.in_hand: dict[int, ScoringRequest] = {}  # by seq, which is also the order of work
        self.answered = 0
        self.ready: asyncio.Future[ScriptFacts] = loop.create_future()
        self.ended: asyncio.Future[End] = loop.create_future()
        self.killed_because = ""
        self._process = process
        self._spec = spec
        self._calls = calls
        self._loop = loop
        self._seq = 0
        self._facts = ScriptFacts()
        self._failure: tuple[str, str] | None = None
        self._draining = False
        self._replace_at = 0
        self._replace: Callable[[], None] = lambda: None
        self._withdrawn: set[int] = set()
        self._streams: dict[int, Stream] = {}
        self._watch: asyncio.TimerHandle | None = None
        self._check: asyncio.TimerHandle | None = None
        self._checked_at = 0
        self._cells = memoryview(process.page)[: wire.OUTBOX].cast("Q") if process.page else None
        self._channel = FrontChannel(process.sock, loop, self._record, calls.progress, self._eof)
        process.watch(loop, self.process_ended)
        config = spec.config.to_json()
        start = wire.TO_WORKER.pack(wire.START, 0, 0, 0, 0, len(config)) + config
        self._channel.send([start], len(start))

    def _move(self, to: WorkerState, doing: str) -> None:
        if to is not self.life.state:
            self.life.move(to)
            self.since = monotonic()
        self.doing = doing

    # ------------------------------------------------------------ sending

    def room(self) -> bool:
        """Whether it may be given more."""
        if self._withdrawn or self._draining:
            return False
        state = self.life.state
        if state is WorkerState.READY:
            return True
        if state is not WorkerState.BUSY:
            return False
        return self._cells is not None or len(self.in_hand) < self._spec.config.threads

    @property
    def one_by_one(self) -> bool:
        """Without marks the front must know by itself what was started: one request for each thread."""
        return self._cells is None

    def send(self, requests: list[ScoringRequest], now: float) -> None:
        """Hand over `requests`, in order, in one write."""
        pieces: list[bytes] = []
        size = 0
        seq = self._seq
        facts = self._facts
        for request in requests:
            seq += 1
            request.seq = seq
            request.sent = now
            request.state = SENT
            self.in_hand[seq] = request
            size += encode(request, facts, pieces)
        self._seq = seq
        self._channel.send(pieces, size)
        if self.life.state is WorkerState.READY:
            self.life.state = (
                WorkerState.BUSY
            )  # the one move made for every frame: READY to BUSY is in the table
            self.since = now
        if self._watch is None:
            self._watch = self._loop.call_later(self._first_limit(), self._watch_over)
        if self._check is None and len(self.in_hand) > 1 and self._cells is not None:
            self._checked_at = self.answered
            self._check = self._loop.call_later(NO_PROGRESS_SECONDS, self._check_progress)

    def replace_after(self, count: int, call: Callable[[], None]) -> None:
        """Have `call` made once this worker has given `count` answers."""
        self._replace_at = count
        self._replace = call

    def busy_seconds(self) -> float:
        """How long it has worked on the request in hand."""
        cells = self._cells
        if cells is None or not self.in_hand:
            return monotonic() - self.since
        return max(0.0, monotonic() - cells[wire.TAKEN] * 1e-9)

    # ------------------------------------------------------------ records

    def _record(
        self,
        kind: int,
        flags: int,
        content_type: int,
        seq: int,
        status: int,
        exec_ms: float,
        headers: bytes,
        body: bytes,
    ) -> None:
        if kind == wire.ANSWER:
            request = self._finish(seq)
            if request is None:
                return
            timed = exec_ms if flags & wire.HAS_EXEC_MS else None
            if timed is not None:
                self._calls.learn(timed * 0.001)
            request.resolve(
                Answer(status, body, CONTENT_TYPES[content_type], FAILED[flags & FAILED_BITS], timed, headers)
            )
        elif kind == wire.CHUNK:
            if stream := self._streams.get(seq):
                stream.chunk(body)
        elif kind == wire.STREAM:
            self._stream_begins(seq, flags, content_type, status, exec_ms, headers)
        elif kind in (wire.END, wire.BROKEN):
            self._finish(seq)
            if stream := self._streams.pop(seq, None):
                stream.end(kind == wire.END)
        elif kind == wire.WITHDRAWN:
            self._confirmed(seq)
        else:
            self._told(kind, seq, json.loads(body))

    def _finish(self, seq: int) -> ScoringRequest | None:
        self.answered += 1
        if self.answered == self._replace_at:
            self._replace()
        request = self.in_hand.pop(seq, None)
        if not self.in_hand and self.life.state is not WorkerState.DRAINING:
            self.life.state = WorkerState.READY  # from BUSY or STALLED; both are in the table
            if self._draining:
                self._stop()
        return request

    def _stream_begins(
        self, seq: int, flags: int, content_type: int, status: int, exec_ms: float, headers: bytes
    ) -> None:
        request = self.in_hand.get(seq)
        if request is None:
            return
        stream = Stream(seq, self._control)
        self._streams[seq] = stream
        timed = exec_ms if flags & wire.HAS_EXEC_MS else None
        answer = Answer(
            status, b"", CONTENT_TYPES[content_type], FAILED[flags & FAILED_BITS], timed, headers, stream
        )
        if not request.resolve(answer):
            stream.close()

    def _control(self, kind: int, seq: int, count: int) -> None:
        self._channel.send([data := wire.TO_WORKER.pack(kind, 0, seq, 0, 0, count)], len(data))

    def _told(self, kind: int, seq: int, facts: dict[str, Any]) -> None:
        if kind == wire.STATE:
            self._move(WorkerState.LOADING, str(facts["doing"]))
        elif kind == wire.READY:
            self._facts = ScriptFacts.from_ready(facts)
            self._move(WorkerState.READY, "waits for requests")
            if not self.ready.done():
                self.ready.set_result(self._facts)
        elif kind == wire.FAILED:
            self._failure = (str(facts["summary"]), str(facts["detail"]))
        elif kind == wire.LOG:
            self._calls.log(facts, self.in_hand.get(seq))

    # ------------------------------------------------------------ withdrawal

    def _check_progress(self) -> None:
        """A frame that does not move hides requests behind a slow one: take those back that wait."""
        self._check = None
        if len(self.in_hand) < 2 or self._withdrawn or self.life.state is WorkerState.STOPPED:
            return
        if self.answered != self._checked_at:
            self._checked_at = self.answered
            self._check = self._loop.call_later(NO_PROGRESS_SECONDS, self._check_progress)
            return
        cells = self._cells
        assert cells is not None
        first = max(cells[wire.MARK] + 1, min(self.in_hand))
        self._withdrawn = {seq for seq in self.in_hand if seq >= first}
        if self._withdrawn:
            cells[wire.WITHDRAW] = first
            self._loop.call_later(SETTLE_SECONDS, self._settle)

    def _settle(self) -> None:
        """What lies after the mark now was not started and will not be."""
        cells = self._cells
        if cells is None or self.life.state is WorkerState.STOPPED:
            return
        mark = cells[wire.MARK]
        back = [
            self.in_hand.pop(seq) for seq in sorted(self._withdrawn) if seq > mark and seq in self.in_hand
        ]
        self._calls.put_back(back)

    def _confirmed(self, seq: int) -> None:
        request = self._finish(seq)
        self.answered -= 1
        if request is not None:
            self._calls.put_back([request])
        self._release(seq)

    def _release(self, seq: int) -> None:
        self._withdrawn.discard(seq)
        if not self._withdrawn and self._cells is not None:
            self._cells[wire.WITHDRAW] = 0

    # ------------------------------------------------------------ time limits

    def _first_limit(self) -> float:
        limits = [self._spec.scoring_timeout + LIMIT_SLACK_SECONDS, self._spec.worker_timeout]
        return min(limit for limit in limits if limit > 0)

    def _running(self) -> list[tuple[int, float, float]]:
        """What runs: seq, when it was taken, when run() began (0: not yet), in monotonic seconds."""
        cells = self._cells
        if cells is None:
            return [(seq, request.sent, request.sent) for seq, request in self.in_hand.items()]
        seq = cells[wire.MARK]
        if seq not in self.in_hand or seq in self._streams:
            return []
        return [(seq, cells[wire.TAKEN] * 1e-9, cells[wire.BEGAN] * 1e-9)]

    def _watch_over(self) -> None:
        """Hold what runs against its limits, and come back when the next one could pass."""
        self._watch = None
        if not self.in_hand:
            return  # the next request starts the watch again
        now = monotonic()
        spec = self._spec
        again = now + self._first_limit()
        for seq, taken, began in self._running():
            if seq in self._streams:
                continue
            if spec.worker_timeout > 0:
                if now >= taken + spec.worker_timeout:
                    self.kill(f"one request took longer than WORKER_TIMEOUT, {spec.worker_timeout:g} s")
                    return
                again = min(again, taken + spec.worker_timeout)
            if began and spec.scoring_timeout > 0:
                again = min(again, self._hold_to_limit(seq, began, now))
        self._watch = self._loop.call_later(max(again - now, 0.0005), self._watch_over)

    def _hold_to_limit(self, seq: int, began: float, now: float) -> float:
        """Answer for a run() that passed the scoring timeout; returns when to look again."""
        due = began + self._spec.scoring_timeout + LIMIT_SLACK_SECONDS
        if now < due:
            return due
        request = self.in_hand[seq]
        if request.resolve(timed_out(self._spec.config.scoring_timeout_ms)):
            self._calls.timeout()
        kill_at = due + self._spec.stall_grace
        if now < kill_at:
            self._move(WorkerState.STALLED, "run() passed the scoring timeout and goes on")
            return kill_at
        if any(other.state != DONE for other in self.in_hand.values() if self.one_by_one):
            return now + 0.05  # neighbours on other threads still run; they are let finish
        self.kill(f"run() did not stop within {self._spec.stall_grace:g} s after the scoring timeout")
        return now + self._spec.stall_grace

    # ------------------------------------------------------------ the end

    def drain(self) -> None:
        """Finish what is in hand, take nothing new, then exit."""
        if self._draining:
            return
        self._draining = True
        if not self.in_hand:
            self._stop()

    def _stop(self) -> None:
        if self.life.state in (WorkerState.READY, WorkerState.BUSY, WorkerState.STALLED):
            self._move(WorkerState.DRAINING, "finishes and exits")
        self._control(wire.STOP, 0, 0)

    def kill(self, because: str) -> None:
        """End the process at once. `because` goes into the log and into readiness."""
        self.killed_because = self.killed_because or because
        self._process.kill()

    def _eof(self) -> None:
        """It closed its end: it is exiting, or the script closed our descriptor. Either way it is of no use."""
        self._loop.call_later(1.0, self._process.kill)

    def process_ended(self, status: int) -> None:
        """The process is gone: save its finished answers, fail what it had started, give back the rest."""
        if self.ended.done():
            return
        self._process.ended = True
        self._channel.drain()
        self._recover_outbox()
        started, waiting = self._sort_in_hand()
        self._move(WorkerState.STOPPED, "")
        for timer in (self._watch, self._check):
            if timer is not None:
                timer.cancel()
        for stream in self._streams.values():
            stream.end(False)
        end = self._why(status)
        for request in started:
            request.resolve(script_crashed())
        self._calls.put_back(waiting)
        self.ended.set_result(end)
        if not self.ready.done():
            self.ready.cancel()

    def _recover_outbox(self) -> None:
        page = self._process.page
        if page is None or self._cells is None:
            return
        already = self._channel.received - self._cells[wire.SENT]
        filled = self._cells[wire.FILLED]
        if 0 <= already < filled <= wire.OUTBOX_BYTES:
            self._channel.feed(page[wire.OUTBOX + already : wire.OUTBOX + filled])

    def _sort_in_hand(self) -> tuple[list[ScoringRequest], list[ScoringRequest]]:
        started: list[ScoringRequest] = []
        waiting: list[ScoringRequest] = []
        mark = self._cells[wire.MARK] if self._cells is not None else self._seq
        for seq, request in self.in_hand.items():
            if seq in self._streams:
                continue
            (started if seq <= mark else waiting).append(request)
        self.in_hand.clear()
        return started, waiting

    def _why(self, status: int) -> End:
        if self._failure is not None:
            return End(status, *self._failure)
        if self.killed_because:
            return End(status, f"killed: {self.killed_because}")
        if self._draining and status == 0:
            return End(status, "")
        if status < 0:
            try:
                name = signal.Signals(-status).name
            except ValueError:
                name = f"signal {-status}"
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return End(status, f"the process was killed by {name}{hint}")
        return End(status, f"the process exited with code {status}")
