"""One connection: requests in, answers out, in order. The scoring route is answered right here.

Our own asyncio protocol on uvicorn's constructor contract. A scoring request costs no ASGI scope, no coroutine
and no task: its head is scanned (or known from the request before), a ScoringRequest goes to the endpoint, and
its answer comes back through the callback it carries. Every other route is an ASGI application.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, cast

from inference_server.errors import RequestRefused
from inference_server.http import answers, debug, diagnosis, refusals, scoring
from inference_server.http.app_call import AppCall
from inference_server.http.chunks import ChunkReader
from inference_server.http.connection import ANSWER, BODY, CLOSING, HEAD, LEAST_RATE, Connection
from inference_server.http.head import RequestHead
from inference_server.http.identity import Identity, new_identity
from inference_server.http.site import NEVER, Site
from inference_server.http.sized import SizedReader
from inference_server.http.writer import StreamWriter
from inference_server.messages import Answer, ScoringRequest
from inference_server.telemetry.access import About, about

PIPELINE_BYTES = 64 * 1024  # read ahead of an answer; more is left in the system's buffers
JOIN_BYTES = 64 * 1024  # a smaller body goes out in one piece with its head

PROBES = frozenset(
    ("/livez", "/readyz", "/startupz", "/metrics", debug.ROUTE)
)  # asked for ever: logged when not 200


class ScoringProtocol(Connection):
    """Made by uvicorn for each connection. Subclass with a `site`: see `protocol_for`."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(_loop or asyncio.get_event_loop(), server_state)
        self.tasks = server_state.tasks
        self._known_bytes = b"\x00"  # the head before this one, as bytes; this value begins no request
        self._known: RequestHead = cast(RequestHead, None)
        self._about: About | None = None  # what the log says of requests with that head
        self._head: RequestHead = cast(RequestHead, None)
        self._identity: Identity = cast(Identity, None)
        self._request: ScoringRequest | None = None
        self._call: AppCall | None = None
        self._first = 0.0  # when a head that came in pieces began
        self._arrived = 0.0
        self._body_began = 0.0
        self._reading = True

    # ------------------------------------------------------------ reading

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == HEAD:
            if self._paused:
                self._read_ahead(data)
            else:
                self._take(self._data + data if self._data else data)
        elif state == BODY:
            self._more_body(data)
        elif state == ANSWER:
            self._read_ahead(data)

    def _read_ahead(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > PIPELINE_BYTES and self._reading:
            self._reading = False
            self.transport.pause_reading()

    def _next(self) -> None:
        """Go on with what was read ahead."""
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        if self._state == HEAD and self._data and not self._paused:
            data, self._data = self._data, b""
            self._take(data)

    def _take(self, data: bytes) -> None:
        """The beginning of a request, and all that came with it."""
        known = self._known_bytes
        if data.startswith(known):
            head = self._known
            at = len(known)
        else:
            end = data.find(b"\r\n\r\n")
            try:
                if end < 0:
                    diagnosis.incomplete(data, self.site.limits, seen=len(self._data))
                    if not self._data:
                        self._first = monotonic()
                        self.due = self._first + self.site.timeouts.header
                    self._data = data
                    return
                at = end + 4
                raw = data[:at]
                head = self.site.known_heads.read(raw)
            except RequestRefused as refused:
                self._refuse(refused.status, refused.message)
                return
            self._known_bytes = raw
            self._known = head
            self._about = None
        received = 0.0
        if self._data:
            self._data = b""
            self._arrived = self._first
            received = monotonic()
        else:
            self._arrived = monotonic()
        self._head = head
        size = head.content_length
        if size:
            body = data[at : at + size]
            if len(body) < size:
                self._begin_body(SizedReader(size), body)
                return
            if len(data) > at + size:
                self._data = data[at + size :]
            self._request_complete([body], size, received)
        elif head.chunked:
            self._begin_body(ChunkReader(self.site.limits), data[at:])
        else:
            if len(data) > at:
                self._data = data[at:]
            self._request_complete([], 0, received)

    def _begin_body(self, reader: SizedReader | ChunkReader, body: bytes) -> None:
        """The head is complete, and `body` is what has come after it: not all."""
        head = self._head
        site = self.site
        if head.is_score and not self._health_only and head.content_length > len(body) + scoring.EARLY_BYTES:
            answer = scoring.early_refusal(site, head, head.content_length, self._arrived)
            if answer is not None:
                self._answer_early(answer)
                return
        self._state = BODY
        self._body = reader
        self._body_began = now = monotonic()
        self.due = now + site.timeouts.body
        if body:
            self._more_body(body)
        elif head.expect_continue:
            self.transport.write(answers.CONTINUE)

    def _more_body(self, data: bytes) -> None:
        reader = self._body
        assert reader is not None
        try:
            complete = reader.feed(data)
        except RequestRefused as refused:
            self._refuse(refused.status, refused.message)
            return
        now = monotonic()
        if complete:
            self._body = None
            self._data = reader.rest
            self._request_complete(reader.pieces, reader.total, now)
        else:  # it may pause, but not trickle for ever
            limit = self.site.timeouts.body
            self.due = min(now + limit, self._body_began + limit + reader.received / LEAST_RATE)

    # ------------------------------------------------------------ routing

    def _request_complete(self, pieces: list[bytes], size: int, received: float = 0.0) -> None:
        """`received`: when the last byte came; 0.0: with the first."""
        head = self._head
        self._state = ANSWER
        self.due = NEVER
        if not head.keep_alive or not self.site.timeouts.keep_alive:
            self._last = True
        site = self.site
        if not head.is_score or self._health_only:
            probe = site.probes.get(head.path)
            if probe is not None and (head.method == "GET" or head.method == "HEAD"):
                self._answer_probe(probe())
            else:
                self._call = AppCall(self, site.health_app if self._health_only else site.app, head, pieces)
            return
        if head.plain:
            self._identity = identity = new_identity()
        else:
            self._identity = identity = head.identity()
            answer = scoring.answer_without_worker(site, head, identity)
            if answer is not None:
                self._answer(answer)
                return
        self._request = request = ScoringRequest(
            head, pieces, size, self._arrived, self._answer, identity, self.peer
        )
        if received:
            request.received = received
        if head.timeout_ms is not None or site.request_timeout:
            request.deadline = scoring.deadline(site, head, self._arrived)
        site.endpoint.submit(request)

    # ------------------------------------------------------------ answering

    def _answer(self, answer: Answer) -> None:
        """The answer to the scoring request in hand."""
        answered = monotonic()
        if answer.stream is not None:
            self._begin_stream(answer, answered)
            return
        head = self._head
        site = self.site
        more = b""
        if head.timed or site.adds_lines:
            more = scoring.more_lines(site, head, self._request, answer, answered)
        raw = site.heads.render(answer, self._identity.lines, more, head.version, not self._last)
        body = answer.body
        if answer.status != 200 or not head.plain:
            body = body if answers.framing(answer, head.method, head.version) != answers.NO_BODY else b""
        if len(body) < JOIN_BYTES:
            self.transport.write(raw + body)
        else:
            self.transport.writelines((raw, body))
        self._finish(self._note(answer, len(body), len(raw), answered))

    def _answer_early(self, answer: Answer) -> None:
        """The answer to a scoring request whose body has not come, and need not: so this is the connection's end."""
        answered = monotonic()
        self._last = True
        head = self._head
        self._identity = head.identity()
        more = scoring.more_lines(self.site, head, None, answer, answered)
        raw = self.site.heads.render(answer, self._identity.lines, more, head.version, False)
        self.transport.write(raw + answer.body)
        self._note(answer, len(answer.body), len(raw), answered)
        self._linger()

    def _answer_probe(self, answer: Answer) -> None:
        """Health has a lane of its own: it must be quick whatever else is to be done."""
        head = self._head
        raw = self.site.heads.render(answer, head.identity().lines, b"", head.version, not self._last)
        body = b"" if head.method == "HEAD" else answer.body
        self.transport.write(raw + body)
        self.app_answered(answer.status, [], body, len(raw))

    def _begin_stream(self, answer: Answer, answered: float) -> None:
        head = self._head
        site = self.site
        assert answer.stream is not None
        how = answers.framing(answer, head.method, head.version)
        if how == answers.UNTIL_CLOSE:
            self._last = True
        more = scoring.more_lines(site, head, self._request, answer, answered)
        raw = site.heads.render(answer, self._identity.lines, more, head.version, not self._last)
        self._stream = StreamWriter(
            self.loop, self.transport, answer.stream, how == answers.CHUNKED, self._stream_over
        )
        self._stream.began = answered
        if self._paused:
            self._stream.pause()
        self._stream.begin(answer, raw, discard=how == answers.NO_BODY)

    def _stream_over(self, writer: StreamWriter, complete: bool) -> None:
        """The last chunk was written, or the stream broke: then the caller must see that it is not whole."""
        self._stream = None
        self._had_taken = self._taken()
        now = self._note(writer.answer, None, writer.head_bytes, writer.began, writer.sent)
        if complete:
            self._finish(now)
        else:
            self._state = CLOSING
            self.transport.abort()

    def app_answered(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, head_bytes: int
    ) -> None:
        """The application's answer has been written."""
        self._call = None
        now = self._note_app(status, len(body), head_bytes)
        if self.site.insights is not None and self._head.path == "/swagger.json":
            latency = now - self._arrived
            scoring.tell_insights_of_route(
                self.site.insights, self.scheme, self._head, status, headers, body, latency
            )
        self._finish(now)

    def _finish(self, now: float) -> None:
        """One request is done with; on to the next, if there is to be one."""
        self._request = None
        if self._last:
            self._close()
            return
        self._state = HEAD
        if not self._paused:
            self.due = now + self.site.timeouts.keep_alive
        if self._data:
            self.loop.call_soon(self._next)

    def _client_left(self) -> None:
        request = self._request
        if request is not None:
            self.site.endpoint.leave(request)
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.client_left()
                self._note(stream.answer, None, stream.head_bytes, stream.began, stream.sent)
            else:
                self._note(refusals.client_left(), 0, 0, monotonic())
            self._request = None
        if self._call is not None:
            self._call.client_left()
            self._call = None

    # ------------------------------------------------------------ counting

    def _note(
        self, answer: Answer, length: int | None, head_bytes: int, answered: float, sent: int = 0
    ) -> float:
        """A scoring request has its answer, which came at `answered`, written. Returns the time."""
        site = self.site
        status = answer.status
        now = monotonic()
        latency = now - self._arrived
        entry = (
            self._about or self._name(),
            status,
            length,
            sent,
            status != 405 and status != 431,
            latency,
            head_bytes + (sent if length is None else length),
            self._request,
            answer,
            now - answered,
        )
        site.ledger.note(entry, self.loop.call_soon)
        if site.insights is not None:
            scoring.tell_insights(site.insights, self.scheme, self._head, self._identity, answer, latency)
        return now

    def _note_app(self, status: int, body_bytes: int, head_bytes: int) -> float:
        """So has one of another route."""
        now = monotonic()
        latency = now - self._arrived
        path = self._head.path
        scored = path == "/swagger.json" and status != 405 and status != 431
        route = path if status not in (404, 405) else "other"
        sent = head_bytes + body_bytes
        self.site.metrics.route(route).answered(status, latency, 0, sent)
        if status != 200 or path not in PROBES:
            entry = (
                self._about or self._name(),
                status,
                body_bytes,
                0,
                scored,
                latency,
                sent,
                None,
                None,
                0.0,
            )
            self.site.ledger.note(entry, self.loop.call_soon)
        return now

    def _name(self) -> About:
        """What the log says of requests with this head."""
        head = self._head
        referer, agent = head.get(b"referer") or b"", head.get(b"user-agent") or b""
        self._about = found = about(self.client, head.request_line, referer, agent)
        return found


def protocol_for(site: Site) -> type[ScoringProtocol]:
    """A protocol class for one server, as uvicorn's `http=` takes it."""
    return type("ScoringProtocol", (ScoringProtocol,), {"site": site, "sweep": None})
