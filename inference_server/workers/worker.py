"""One worker as the front sees it: what it has in hand, what it answers, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from inference_server.lifecycle import Life, WorkerState
from inference_server.messages import DONE, SENT, Answer, ScoringRequest
from inference_server.scoring import wire
from inference_server.workers.answers import script_crashed
from inference_server.workers.channel import FrontChannel
from inference_server.workers.end import End, describe
from inference_server.workers.page import Page
from inference_server.workers.process import Process
from inference_server.workers.requests import ScriptFacts, encode
from inference_server.workers.spec import PoolSpec
from inference_server.workers.stream import Stream
from inference_server.workers.watch import Watch

CHECK_SECONDS = 0.001  # how often a frame in hand is looked at
PATIENCE = 5  # so many looks without an answer: what waits in the frame is recalled
SETTLE_SECONDS = 0.001  # after this the worker has surely seen a recall, or we its mark
TAIL_SECONDS = 0.001  # after a chunk came, when the next ones are looked for in the outbox
DEAF_SECONDS = 1.0  # for a worker that closed its end of the channel to exit by itself
EXIT_SECONDS = 5.0  # for one that was told to stop: its atexit handlers
LIVES = 3  # a request that is the next to be run in so many workers that die is answered for

CONTENT_TYPES = tuple(text.encode() for text in wire.CONTENT_TYPES)
FAILED = {0: None, wire.FAILED_FALSE: False, wire.FAILED_TRUE: True}
FAILED_BITS = wire.FAILED_FALSE | wire.FAILED_TRUE


@dataclass(frozen=True)
class Calls:
    """What a worker tells its pool."""

    progress: Callable[[], None]  # answers came: there is room again
    put_back: Callable[[list[ScoringRequest]], None]  # requests that were not started
    learn: Callable[[float], None]  # one run() took so many seconds
    log: Callable[[dict[str, Any], ScoringRequest | None], None]  # a record for the front's exporters
    timeout: Callable[[], None]  # run() passed the scoring timeout


class Worker:
    """Made when its process has started. `ready` is done when the script is loaded, `ended` with the process."""

    _encode = staticmethod(encode)

    def __init__(self, number: int, process: Process, spec: PoolSpec, calls: Calls) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.pid = process.pid
        self.life = Life()
        self.since = monotonic()
        self.doing = "the interpreter is starting"
        self.in_hand: dict[int, ScoringRequest] = {}  # by seq, which is also the order of work
        self.answered = 0
        self.ready: asyncio.Future[ScriptFacts] = loop.create_future()
        self.ended: asyncio.Future[End] = loop.create_future()
        self.killed_because = ""
        self.files: tuple[str, ...] = ()  # the user's own that it had loaded when it failed
        self.imported: Callable[[list[str]], None] = lambda files: None  # told of more of them, later
        self.debugger: Callable[[int], None] = lambda port: None  # told where its debugger listens
        self._process = process
        self._threads = spec.config.threads
        self._script = spec.config.entry_script or "main.py"
        self._calls = calls
        self._loop = loop
        self._seq = 0
        self._facts = ScriptFacts()
        self._failure: tuple[str, str] | None = None
        self._draining = False
        self._replace_at = 0
        self._replace: Callable[[], object] = lambda: None
        self._recalled = 0  # the last seq of a recall that is not over; 0: none
        self._stalled: set[int] = set()
        self._streams: dict[int, Stream] = {}
        self._check: asyncio.TimerHandle | None = None
        self._tail: asyncio.TimerHandle | None = None
        self._seen = 0  # answers at the last look
        self._looks = 0  # without an answer
        self._page = Page(process.page) if process.page is not None else None
        self._frames = self._page is not None  # several requests that are run one by one may be sent together
        self._watch = Watch(self, spec, loop)
        self._channel = FrontChannel(process.sock, loop, self._record, calls.progress, self._deaf)
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
        if self._recalled or self._draining or not self._channel.open:
            return False
        state = self.life.state
        if state is WorkerState.READY:
            return True
        if state is not WorkerState.BUSY:
            return False
        return self._page is not None or len(self.in_hand) < self._threads

    @property
    def one_by_one(self) -> bool:
        """Without marks the front must know by itself what was started: one request for each thread."""
        return self._page is None

    def send(self, requests: list[ScoringRequest], now: float) -> None:
        """Hand over `requests`, in order, in one write."""
        pieces: list[bytes] = []
        size = 0
        seq = self._seq
        facts = self._facts
        encode = self._encode
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
            # the one move made for every frame goes without the table's check: READY to BUSY is in it
            self.life.state = WorkerState.BUSY
            self.since = now
        if self._watch.timer is None:
            self._watch.start()
        if self._check is None and len(self.in_hand) > 1 and self._frames:
            self._seen = self.answered
            self._looks = 0
            self._check = self._loop.call_later(CHECK_SECONDS, self._look)

    def replace_after(self, count: int, call: Callable[[], object]) -> None:
        """Have `call` made once, after `count` more answers."""
        self._replace_at = self.answered + count
        self._replace = call

    def began(self) -> float:
        """When it took what it works on, monotonic seconds."""
        return min((taken for _, taken, _ in self.running()), default=self.since)

    def busy_seconds(self) -> float:
        """How long it has worked on the request in hand."""
        return max(0.0, monotonic() - self.began())

    # ------------------------------------------------------------ records

    def _record(
        self,
        kind: int,
        flags: int,
        content_type: int,
        seq: int,
        status: int,
        exec_ms: float,
        decode_us: float,
        encode_us: float,
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
            answered = request.resolve(
                Answer(
                    status,
                    body,
                    CONTENT_TYPES[content_type],
                    FAILED[flags & FAILED_BITS],
                    timed,
                    headers,
                    None,
                    decode_us,
                    encode_us,
                )
            )
            if flags & wire.TIMED_OUT and answered:  # else the front has answered, and counted, before
                self._calls.timeout()
        elif kind == wire.CHUNK:
            if stream := self._streams.get(seq):
                stream.chunk(body)
                self._expect_tail()
        elif kind == wire.STREAM:
            self._stream_begins(seq, flags, content_type, status, exec_ms, headers)
        elif kind in (wire.END, wire.BROKEN):
            stream = self._streams.pop(seq, None)
            self._finish(seq)
            if stream is not None:
                stream.end(kind == wire.END)
        elif kind == wire.WITHDRAWN:
            request = self.in_hand.pop(seq, None)
            if request is not None:  # it came before the recall had settled
                self._calls.put_back([request])
            self._settled(seq)
        else:
            self._told(kind, seq, body)

    def _finish(self, seq: int) -> ScoringRequest | None:
        self.answered += 1
        if self.answered == self._replace_at:
            self._replace()
        request = self.in_hand.pop(seq, None)
        if not self.in_hand or self._recalled or self._stalled:
            self._settled(seq)
        return request

    def _settled(self, seq: int) -> None:
        """The worker has said its last word on `seq`, and more than that has come to an end with it."""
        if seq == self._recalled:
            self._recalled = 0
            assert self._page is not None
            self._page.recall(0)
        self._stalled.discard(seq)
        state = self.life.state
        if state is WorkerState.DRAINING:
            return
        if not self.in_hand:
            if state is not WorkerState.READY:
                self.life.state = WorkerState.READY  # from BUSY or STALLED; both are in the table
                self.since = monotonic()
            if self._draining:
                self._stop()
        elif state is WorkerState.STALLED and not self._stalled:
            self._move(WorkerState.BUSY, "")

    def _stream_begins(
        self, seq: int, flags: int, content_type: int, status: int, exec_ms: float, headers: bytes
    ) -> None:
        request = self.in_hand.get(seq)
        if request is None:
            self._control(wire.CLOSE, seq, 0)
            return
        stream = Stream(seq, self._control)
        self._streams[seq] = stream
        timed = exec_ms if flags & wire.HAS_EXEC_MS else None
        answer = Answer(
            status, b"", CONTENT_TYPES[content_type], FAILED[flags & FAILED_BITS], timed, headers, stream
        )
        if not request.resolve(answer):
            stream.close()
        self._expect_tail()

    def _control(self, kind: int, seq: int, count: int) -> None:
        self._channel.send([data := wire.TO_WORKER.pack(kind, 0, seq, 0, 0, count)], len(data))

    def _told(self, kind: int, seq: int, body: bytes) -> None:
        facts: dict[str, Any] = json.loads(body)
        if kind == wire.STATE:
            self._move(WorkerState.LOADING, str(facts["doing"]))
            if "debugger" in facts:
                self.debugger(int(facts["debugger"]))
        elif kind == wire.READY:
            self._facts = ScriptFacts.from_ready(facts)
            self._move(WorkerState.READY, "waits for requests")
            self.ready.set_result(self._facts)
        elif kind == wire.FAILED:
            self._failure = (str(facts["summary"]), str(facts["detail"]))
            self.files = tuple(facts.get("files", ()))
        elif kind == wire.FILES:
            self.imported(facts["files"])
        elif kind == wire.LOG:
            self._calls.log(facts, self.in_hand.get(seq))

    # ------------------------------------------------------------ a frame behind a slow request

    def _look(self) -> None:
        """Fetch answers that wait in the outbox behind a long run(); take back requests that wait behind one."""
        self._check = None
        if len(self.in_hand) < 2 or self.ended.done():
            return
        if self._fetch():
            self._calls.progress()
        if self.answered != self._seen:
            self._seen = self.answered
            self._looks = 0
        else:
            self._looks += 1
            if self._looks == PATIENCE and not self._recalled:
                self._recall()
        if len(self.in_hand) > 1:
            self._check = self._loop.call_later(CHECK_SECONDS, self._look)

    def _expect_tail(self) -> None:
        """A stream that pauses may have left its last chunks in the outbox: fetch them soon."""
        if self._tail is None and self._page is not None:
            self._tail = self._loop.call_later(TAIL_SECONDS, self._fetch_tail)

    def _fetch_tail(self) -> None:
        self._tail = None
        if self._streams and not self.ended.done() and self._fetch():
            self._calls.progress()

    def _fetch(self, settled: bool = False) -> bool:
        """Whether there were answers that the worker has finished but not sent."""
        finished = self._page.unsent(self._channel.received, settled) if self._page is not None else b""
        if finished:
            self._channel.feed_ahead(finished)
        return bool(finished)

    def _recall(self) -> None:
        """Ask for all that is not started. The worker reports each of them, in order: not run, or answered."""
        assert self._page is not None
        first = max(self._page.mark + 1, next(iter(self.in_hand)))
        if first <= self._seq:
            self._recalled = self._seq
            self._page.recall(first)
            self._loop.call_later(SETTLE_SECONDS, self._settle, self._seq)

    def _settle(self, last: int) -> None:
        """What lies after the mark now was not started and will not be: it need not wait for the report."""
        if self._recalled != last or self.ended.done():
            return
        assert self._page is not None
        mark = self._page.mark
        self._calls.put_back([self.in_hand.pop(seq) for seq in list(self.in_hand) if seq > mark])

    # ------------------------------------------------------------ time limits, see Watch

    def running(self) -> list[tuple[int, float, float]]:
        """What it works on: seq, when it was taken, when run() began (0: not yet), in monotonic seconds."""
        if self._page is None:
            return [
                (seq, request.sent, request.sent)
                for seq, request in self.in_hand.items()
                if seq not in self._streams
            ]
        if not self.in_hand:
            return []
        seq, taken, began = self._page.running()
        if seq in self._streams:
            return []
        if seq in self.in_hand:
            return [(seq, taken, began)]
        first = next(iter(self.in_hand))  # not taken yet: it is being read, or the worker hangs between two
        return [(first, self.in_hand[first].sent, 0.0)]

    def streams(self) -> list[Stream]:
        """The streams that are not complete."""
        return list(self._streams.values())

    def catch_up(self) -> None:
        """Take in all that the worker has said until now."""
        self._channel.read_now()
        self._fetch()
        self._calls.progress()

    def stalled(self, seq: int, answer: Answer) -> None:
        """`seq` passed the scoring timeout: its caller is answered, and the worker gets nothing new."""
        if self.in_hand[seq].resolve(answer):
            self._calls.timeout()
        self._stalled.add(seq)
        self._move(WorkerState.STALLED, "run() passed the scoring timeout and goes on")

    def has_neighbours(self, seq: int) -> bool:
        """Whether other threads of it work on requests that somebody waits for."""
        return self.one_by_one and any(
            other.state != DONE or number in self._streams
            for number, other in self.in_hand.items()
            if number != seq
        )

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
        self._loop.call_later(EXIT_SECONDS, self.kill, "it did not exit when it was told to")

    def kill(self, because: str) -> None:
        """End the process at once. `because` goes into the log and into readiness."""
        self.killed_because = self.killed_because or because
        self._process.kill()

    def _deaf(self) -> None:
        """It closed its end: it is exiting, or the script closed our descriptor. Either way it is of no use."""
        self._loop.call_later(DEAF_SECONDS, self.kill, "it closed its channel to the server")

    def process_ended(self, status: int) -> None:
        """The process is gone: save its finished answers, fail what it had started, give back the rest."""
        if self.ended.done():
            return
        self._process.ended = True
        self._channel.drain()
        self._fetch(settled=True)
        started, waiting = self._sort_in_hand(status)
        step = "" if self.ready.done() else f"{self._script}: {self.doing}"
        self._move(WorkerState.STOPPED, "")
        self._watch.stop()
        if self._check is not None:
            self._check.cancel()
        for stream in self._streams.values():
            stream.end(False)
        self.ended.set_result(describe(status, self._failure, self.killed_because, self._draining, step))
        if waiting and not started:
            waiting[0].lost += 1
            if waiting[0].lost == LIVES:  # reading it may be what kills them: too large, say
                started.append(waiting.pop(0))
        for request in started:
            request.resolve(script_crashed())
        self._calls.put_back(waiting)

    def _sort_in_hand(self, status: int) -> tuple[list[ScoringRequest], list[ScoringRequest]]:
        started: list[ScoringRequest] = []
        waiting: list[ScoringRequest] = []
        mark = self._page.mark if self._page is not None else self._seq
        for seq, request in self.in_hand.items():
            if seq not in self._streams:
                (started if seq <= mark else waiting).append(request)
        self.in_hand.clear()
        return started, waiting
