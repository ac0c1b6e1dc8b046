"""One connection beside its requests: how it begins and ends, how long it may wait, and what is no request at all."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from time import monotonic
from typing import Any, ClassVar, cast

from inference_server.http import refusals
from inference_server.http.chunks import ChunkReader
from inference_server.http.site import NEVER, Site, Sweep
from inference_server.http.sized import SizedReader
from inference_server.http.writer import StreamWriter
from inference_server.messages import NOBODY, Peer

LEAST_RATE = 240  # bytes a second; a client that sends or reads more slowly, on the whole, is taken for stuck
LINGER_SECONDS = 5.0  # a refused client may still be sending; what it sends is read and dropped for so long

# What a connection does now.
HEAD, BODY, ANSWER, CLOSING, LINGERING = range(5)


class Connection(asyncio.Protocol, ABC):
    """What the scoring protocol is made on: it reads requests and answers them."""

    site: ClassVar[Site]
    sweep: ClassVar[Sweep | None] = None

    def __init__(self, loop: asyncio.AbstractEventLoop, server_state: Any) -> None:
        self.loop = loop
        self.due = NEVER  # when this connection has waited too long, monotonic seconds
        self.connections = server_state.connections
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.client = ""
        self.peer = NOBODY
        self.client_address: tuple[str, int] | None = None
        self.server_address: tuple[str, int] | None = None
        self.scheme = "http"
        self._state = HEAD
        self._data = b""  # bytes that wait: an unfinished head, or requests read ahead
        self._body: SizedReader | ChunkReader | None = None  # of a body that did not come with its head
        self._stream: StreamWriter | None = None
        self._last = False  # the answer in the making is the last one here
        self._paused = False  # the client does not take what is written
        self._had_taken = 0  # what `_taken` said when last looked at
        self._health_only = False

    @abstractmethod
    def _next(self) -> None:
        """Go on with what was read ahead."""

    @abstractmethod
    def _client_left(self) -> None:
        """Nobody waits any more for the answer in the making."""

    # ------------------------------------------------------------ asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        site = self.site
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if isinstance(peer, tuple):
            self.client_address = (peer[0], peer[1])
            self.client = peer[0]
        if isinstance(own, tuple):
            self.server_address = (own[0], own[1])
            self._health_only = own[1] == site.health_port
        if transport.get_extra_info("sslcontext"):
            self.scheme = "https"
        self.peer = Peer(_address(self.client_address), _address(self.server_address), self.scheme)
        self.connections.add(self)
        self.due = monotonic() + site.timeouts.header
        sweep = type(self).sweep
        if sweep is None:
            sweep = type(self).sweep = Sweep(site.timeouts.sweep, self.connections)
        sweep.start(self.loop)
        if site.max_connections and len(self.connections) > site.max_connections and not self._health_only:
            self._refuse(503, "The server has as many connections as it may hold.")
            self.connections.discard(self)  # it takes nobody's place
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self._state = CLOSING
        self._data = b""
        self._client_left()

    def eof_received(self) -> None:
        if self._state == BODY or (self._state == HEAD and self._data):
            self._refuse(400, "The connection was closed before the request was complete.", linger=False)
            return
        # A client that has closed its side while it waits is taken to have left, as gateways do.
        self._client_left()

    def pause_writing(self) -> None:
        self._paused = True
        self._had_taken = self._taken()
        self.due = monotonic() + self.site.timeouts.write
        if self._stream is not None:
            self._stream.pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._stream is not None:
            self.due = NEVER
            self._stream.resume()
        elif self._state == HEAD:
            self.due = monotonic() + self.site.timeouts.keep_alive
            self._next()
        elif self._state == ANSWER:
            self.due = NEVER

    def overdue(self, now: float) -> None:
        """Called by the sweep once `due` has passed."""
        if self._state == LINGERING:
            self.transport.abort()
        elif self._paused or self._state == CLOSING:
            taken = self._taken()
            if taken - self._had_taken > LEAST_RATE * self.site.timeouts.write:  # slow, but it reads
                self._had_taken = taken
                self.due = now + self.site.timeouts.write
            else:
                self.transport.abort()
        elif self._state == BODY or self._data:
            self._refuse(408, "The request did not arrive in time.")
        elif self._state == HEAD:
            self.transport.close()

    def _taken(self) -> int:
        """A number that grows as the client takes bytes. It starts anywhere."""
        written = self._stream.written if self._stream is not None else 0
        return written - self.transport.get_write_buffer_size()

    def shutdown(self) -> None:
        """uvicorn's word that the server stops: finish what was accepted, then close."""
        self._last = True
        if (self._state == HEAD and not self._data) or self._state == LINGERING:
            self.transport.close()

    @property
    def closing(self) -> bool:
        """Whether the answer in the making is the last one on this connection."""
        return self._last

    # ------------------------------------------------------------ the end

    def _close(self) -> None:
        self._state = CLOSING
        self._data = b""
        self._had_taken = self._taken()
        self.due = monotonic() + self.site.timeouts.write
        self.transport.close()

    def _refuse(self, status: int, why: str, linger: bool = True) -> None:
        """Answer what is not a request we serve, and close: nobody knows where the next one begins.

        To close while the client still sends would reset the connection, and the client might never read why.
        So only our side is closed (`linger`), and the rest when the client has closed its own, or in a while.
        """
        self._last = True
        site = self.site
        answer = refusals.message(status, why)
        raw = site.heads.render(answer, b"", b"", b"HTTP/1.1", False)
        self.transport.write(raw + answer.body)
        site.metrics.route("refused").answered(status, 0.0, 0, len(raw) + len(answer.body))
        site.warn(f"Refused a request from {self.client or 'a client'} with {status}: {why}")
        if linger:
            self._linger()
        else:
            self._close()

    def _linger(self) -> None:
        self._state = LINGERING
        self._data = b""
        self._body = None
        self.due = monotonic() + LINGER_SECONDS
        if self.transport.can_write_eof():
            self.transport.write_eof()


def _address(address: tuple[str, int] | None) -> str:
    return f"{address[0]}:{address[1]}" if address else ""
