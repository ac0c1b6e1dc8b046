"""The load: so many callers, each with a new request as soon as it has its answer.

One thread and plain sockets, so that the processors are left to the server that is measured.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inference_server.load.bodies import Body

PATIENCE = 60.0  # seconds without any answer before the server is given up
_CHUNK = 1 << 18
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class LoadFailed(Exception):
    """The server broke a connection or fell silent; the text says which."""


class BadAnswer(Exception):
    """An answer other than 200: the status, and the body as it came."""

    def __init__(self, status: int, body: bytes, sent: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.body = body
        self.sent = sent  # which of the requests, by its place


class Source(Protocol):
    """Where requests come from."""

    def __next__(self) -> tuple[int, bytes]:
        """The place of the next request, and all its bytes."""


@dataclass
class Heard:
    """What came back: milliseconds of each request that began and ended in the time, and that time in seconds."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    busy: float = 0.0  # seconds of a processor that this client took

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    @property
    def limited(self) -> bool:
        """Whether the client itself had hardly a moment to wait, so that the server may do better than this shows."""
        return self.busy > 0.9 * self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds that `share` (0 to 1) of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Caller:
    """One connection with one request on it."""

    __slots__ = ("begun", "buffer", "connection", "sent")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""
        self.begun = 0.0
        self.sent = 0


class Load:
    """Callers that stay connected between the times they are listened to. Close it, or use it in a `with`."""

    def __init__(self, port: int, source: Source, callers: int) -> None:
        self._port = port
        self._source = source
        self._selector = selectors.DefaultSelector()
        self._callers: list[_Caller] = []
        try:
            for _ in range(callers):
                self._ask(self._connected())
        except OSError as error:
            self.close()
            raise LoadFailed(f"no connection to the server: {error}") from None

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._selector.close()
        for caller in self._callers:
            with contextlib.suppress(OSError):
                caller.connection.close()

    def run(self, seconds: float, answers: int = 0, longest: float = 0.0) -> Heard:
        """Go on for `seconds`, and until there are `answers`, but for no more than `longest` seconds in all.

        Raises BadAnswer for the first answer that is no 200, LoadFailed when there is none.
        """
        heard = Heard()
        latencies = heard.latencies
        worked = time.process_time()
        start = now = last = time.perf_counter()
        until, latest = start + seconds, start + max(seconds, longest)
        while now < until or (len(latencies) < answers and now < latest):
            ready = self._selector.select(min(1.0, max(0.0, latest - now)))
            now = time.perf_counter()
            if not ready and now - last > PATIENCE:
                raise LoadFailed(f"no answer within {PATIENCE:.0f} s")
            for key, _ in ready:
                caller: _Caller = key.data
                if self._hears(caller):
                    now = last = time.perf_counter()
                    if caller.begun >= start:
                        latencies.append((now - caller.begun) * 1000)
                    self._ask(caller)
        heard.seconds = now - start
        heard.busy = time.process_time() - worked
        return heard

    def _connected(self) -> _Caller:
        connection = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(None)  # a socket with a timeout asks the system twice for everything
        caller = _Caller(connection)
        self._callers.append(caller)
        self._selector.register(connection, selectors.EVENT_READ, caller)
        return caller

    def _ask(self, caller: _Caller) -> None:
        caller.sent, request = next(self._source)
        caller.begun = time.perf_counter()
        try:
            caller.connection.sendall(request)
        except OSError as error:
            raise LoadFailed(f"the server broke a connection: {error}") from None

    def _hears(self, caller: _Caller) -> bool:
        """Whether what has arrived completes the caller's answer."""
        try:
            data = caller.connection.recv(_CHUNK)
        except OSError as error:
            raise LoadFailed(f"the server broke a connection: {error}") from None
        if not data:
            raise LoadFailed("the server closed a connection in the middle of an answer")
        buffer = caller.buffer + data if caller.buffer else data
        found = cut(buffer)
        if found is None:
            caller.buffer = buffer
            return False
        caller.buffer = b""
        if found.status != 200:
            raise BadAnswer(found.status, found.body, caller.sent)
        if found.closes:
            self._reopen(caller)
        return True

    def _reopen(self, caller: _Caller) -> None:
        self._selector.unregister(caller.connection)
        caller.connection.close()
        caller.connection = socket.create_connection(("127.0.0.1", self._port))
        self._selector.register(caller.connection, selectors.EVENT_READ, caller)


@dataclass(frozen=True)
class _Found:
    status: int
    body: bytes
    closes: bool


def cut(buffer: bytes) -> _Found | None:
    """The answer that `buffer` holds; None while it is not complete. Raises LoadFailed for one without a length."""
    end = buffer.find(_END)
    if end < 0:
        return None
    status = int(buffer[9:12])
    length = _LENGTH.search(buffer, 0, end)
    if length is not None:
        if len(buffer) < end + 4 + int(length[1]):
            return None
        body = buffer[end + 4 :] if status != 200 else b""
    elif _CHUNKED.search(buffer, 0, end):
        pieces = list(_pieces(buffer, end + 4))
        if not pieces or pieces[-1]:
            return None
        body = b"".join(pieces)
    else:
        raise LoadFailed("an answer without a length")
    return _Found(status, body, _CLOSE.search(buffer, 0, end) is not None)


def _pieces(buffer: bytes, at: int) -> Iterator[bytes]:
    """The chunks of a body that are complete; the last one is empty."""
    while (line := buffer.find(b"\r\n", at)) >= 0:
        size = int(buffer[at:line].split(b";")[0], 16)
        at = line + 2 + size + 2
        if len(buffer) < at:
            return
        yield buffer[line + 2 : at - 2]
        if not size:
            return


class InTurn:
    """The bodies as requests of HTTP, one after the other without end."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        self._requests = [_request(body) for body in bodies]
        self._next = 0

    def __next__(self) -> tuple[int, bytes]:
        place = self._next
        self._next = (place + 1) % len(self._requests)
        return place, self._requests[place]


def _request(body: Body) -> bytes:
    head = (
        f"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {body.content_type}\r\n"
        f"Content-Length: {len(body.content)}\r\n\r\n"
    )
    return head.encode() + body.content
