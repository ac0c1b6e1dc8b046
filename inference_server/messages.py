"""The request and the answer, as every room of the front passes them on.

Plain slotted classes, not frozen dataclasses: one of each is made per request on the scoring path, and a
frozen dataclass costs four times as much to make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from inference_server.lifecycle import ServerState, WorkerState

WAITING, SENT, DONE = range(3)


class Head(Protocol):
    """What the rest of the front may know of a request's head."""

    @property
    def method(self) -> str: ...

    @property
    def target(self) -> bytes:
        """As received."""

    @property
    def query(self) -> bytes:
        """Raw, without the question mark."""

    @property
    def version(self) -> bytes:
        """`HTTP/1.1` or `HTTP/1.0`."""

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Names in lower case, values trimmed, in order of arrival."""

    def get(self, name: bytes) -> bytes | None:
        """The value of a header by its lower-case name; repeated ones joined by a bare comma."""


class Ids(Protocol):
    """By what the caller knows a request; either may be empty."""

    @property
    def request_id(self) -> str: ...

    @property
    def client_request_id(self) -> str: ...


class Peer(NamedTuple):
    """The two ends of the connection a request came on, each as host:port, and its scheme."""

    client: str = ""
    server: str = ""
    scheme: str = "http"


class NoIds(NamedTuple):
    """Of a request that nobody asked for by name."""

    request_id: str = ""
    client_request_id: str = ""


NOBODY, NO_IDS = Peer(), NoIds()


class Batch(Protocol):
    """The run() call that a request shared with others."""

    @property
    def requests(self) -> int: ...

    @property
    def rows(self) -> int:
        """0: not known."""

    @property
    def reason(self) -> int:
        """Why it was no larger: FULL and its neighbours of the channel's records."""


class Taker(Protocol):
    """Who has a request until it is answered."""

    @property
    def name(self) -> str: ...

    def leave(self, request: ScoringRequest) -> None:
        """The caller of the request has gone."""


class ScoringRequest:
    """One request on its way to a worker; it carries the future its answer returns through.

    `reply` is called exactly once, by `resolve`; whoever resolves a request that is already done is ignored.
    """

    lone: bool  # it is never run together with another; set where requests are batched, and only there
    taken_by: Taker  # the deployment it went to; set where an endpoint has several, and only there

    __slots__ = (
        "arrived",
        "batch",
        "body",
        "body_bytes",
        "deadline",
        "head",
        "ids",
        "lone",
        "lost",
        "peer",
        "received",
        "reply",
        "sent",
        "seq",
        "state",
        "taken_by",
    )

    def __init__(
        self,
        head: Head,
        body: list[bytes],
        body_bytes: int,
        arrived: float,
        reply: Callable[[Answer], None],
        ids: Ids = NO_IDS,
        peer: Peer = NOBODY,
    ) -> None:
        self.head = head
        self.body = body  # the pieces as they arrived; joined by nobody on the way
        self.body_bytes = body_bytes
        self.arrived = arrived  # monotonic seconds: its first byte
        self.received = arrived  # its last byte, where that came later
        self.deadline = 0.0  # monotonic seconds; 0: none
        self.reply = reply
        self.ids = ids
        self.peer = peer
        self.seq = 0  # unique per worker, given at dispatch
        self.sent = 0.0  # monotonic seconds of the dispatch
        self.batch: Batch | None = None  # known with the answer, where requests are batched
        self.lost = 0  # how many workers died when it was the next they would have run
        self.state = WAITING

    def resolve(self, answer: Answer) -> bool:
        """Hand the answer to whoever waits. False when the caller has left or was answered already."""
        if self.state == DONE:
            return False
        self.state = DONE
        self.reply(answer)
        return True


class AnswerStream(Protocol):
    """The body of a streamed answer, pulled by credit."""

    @property
    def broken(self) -> bool:
        """Whether it ended before it was complete, by no doing of its reader."""

    def attach(self, on_chunk: Callable[[bytes], None], on_end: Callable[[bool], None]) -> None:
        """Start the flow. `on_end(True)` when complete, `on_end(False)` when it broke."""

    def grant(self, count: int) -> None:
        """Allow `count` more bytes."""

    def close(self) -> None:
        """The reader has left: the generator in the worker is closed."""


class Answer:
    """What goes back to the caller, before it becomes bytes on a connection."""

    __slots__ = (
        "body",
        "content_type",
        "decode_us",
        "encode_us",
        "exec_ms",
        "failed",
        "headers",
        "status",
        "stream",
    )

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: bytes = b"application/json",
        failed: bool | None = False,
        exec_ms: float | None = None,
        headers: bytes = b"",
        stream: AnswerStream | None = None,
        decode_us: float = 0.0,
        encode_us: float = 0.0,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type  # b"": none, or among `headers`
        self.failed = failed  # x-ms-run-function-failed; None: not sent
        self.exec_ms = exec_ms  # x-ms-run-fn-exec-ms; None: not sent
        self.headers = headers  # more header lines, each ended by CRLF, checked by the worker
        self.stream = stream
        self.decode_us = decode_us  # as the worker measured it
        self.encode_us = encode_us


@dataclass(frozen=True)
class WorkerReport:
    """One worker, as /readyz shows it."""

    worker: int  # 1, 2, … within its deployment
    pid: int  # 0: no process now
    state: WorkerState
    seconds: float  # how long it has been in this state
    restarts: int  # how often its place was refilled after a failure
    last_error: str  # one line; empty: none
    reason: str  # one sentence for a person
    in_hand: int = 0  # requests it was sent and has not answered


@dataclass(frozen=True)
class BatchingReport:
    """How a deployment that was asked to batch does it, as /readyz shows it."""

    way: str  # run_batch, rows or single
    state: str  # on, proving, refused or off
    reason: str  # one sentence for a person
    rows: int  # most in one run() call
    agreed: int  # answers that were alike alone and together
    requests: int  # that were answered while that was being found out
    repro: str  # the file with a mismatch; empty: none


@dataclass(frozen=True)
class ReloadReport:
    """The last exchange of the workers for new ones that loaded the script afresh."""

    number: int  # 1, 2, … since the start
    state: str  # running, done or failed
    reason: str  # one sentence for a person: what asked for it; when it failed, why
    seconds: float  # how long it took, or has taken until now


@dataclass(frozen=True)
class HealthReport:
    """The whole server, as the health routes show it: a pure reading of the workers' states."""

    state: ServerState
    reason: str  # one sentence for a person
    started: bool  # a worker has been ready at least once
    queued: int  # requests that wait
    workers: tuple[WorkerReport, ...]
    batching: BatchingReport | None = None  # None: it was not asked for, or nothing is known yet
    reload: ReloadReport | None = None  # None: there was none
    deployments: tuple[DeploymentReport, ...] = ()  # empty for a server that is no endpoint with deployments


@dataclass(frozen=True)
class DeploymentReport:
    """One deployment of several."""

    name: str
    traffic: int  # per cent of the requests that it gets
    mirrored: int  # per cent of the requests that it gets copies of
    health: HealthReport
