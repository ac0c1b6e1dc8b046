"""One connection of a load, with at most one request on it. Nothing here waits: it is told when its socket is ready."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import ssl

from inference_server.load.answers import Answers, Malformed, WrongLength
from inference_server.load.requests import Request
from inference_server.load.tally import CLOSED, NO_HTTP, REFUSED, RESET, TLS, UNREACHABLE, WRONG_LENGTH
from inference_server.load.target import Target, said

_CHUNK = 1 << 16  # more than 128 KiB would be fetched from the system, and given back, for each answer
_RESETS = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


# What a connection is about, and what came of a socket that was ready. Plain numbers: they are compared for each request,
# and members of an Enum cost more to look up than all else here.
SHUT, CONNECTING, GREETING, IDLE, SENDING, WAITING = range(6)
NOTHING, OPENED, ANSWERED = range(3)


class Broken(Exception):
    """The connection is of no use any more: `kind` of the error, as it is counted."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Connection:
    """One socket, opened and opened again. `begun`: when the request on it, or its opening, was due."""

    __slots__ = (
        "_rest",
        "_selector",
        "_socket",
        "_where",
        "answers",
        "begun",
        "received",
        "request",
        "sent_at",
        "state",
    )

    def __init__(self, where: Target, selector: selectors.BaseSelector, bodiless: bool = False) -> None:
        self.state = SHUT
        self.answers = Answers()
        self.answers.bodiless = bodiless
        self.request: Request | None = None
        self.begun = 0.0
        self.sent_at = 0.0
        self.received = 0  # bytes of the answer
        self._where = where
        self._selector = selector
        self._socket: socket.socket | None = None
        self._rest = memoryview(b"")  # of the request, not sent yet

    def open(self) -> None:
        """Begin to connect. Raises Broken."""
        address = self._where.addresses[0]
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(address.name)
        except OSError as error:
            raise Broken(UNREACHABLE, said(error)) from None
        self._socket = sock
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._refused(code)
        self.state = CONNECTING
        self._selector.register(sock, WRITE, self)

    def shut(self) -> None:
        """Close the socket; the request on it is forgotten."""
        self.state = SHUT
        self.request = None
        sock, self._socket = self._socket, None
        if sock is None:
            return
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        sock.close()
        bodiless = self.answers.bodiless
        self.answers = Answers()
        self.answers.bodiless = bodiless

    def send(self, request: Request, begun: float, now: float) -> None:
        """Send a request that was due at `begun`, on an idle connection. Raises Broken."""
        self.request = request
        self.begun, self.sent_at = begun, now
        self.received = 0
        assert self._socket is not None
        try:
            count = self._socket.send(request.content)
        except (BlockingIOError, ssl.SSLWantWriteError):
            count = 0
        except OSError as error:
            raise _broken(error) from None
        if count == len(request.content):
            self.state = WAITING
            return
        self.state = SENDING
        self._rest = memoryview(request.content)[count:]
        self._selector.modify(self._socket, READ | WRITE, self)

    def ready(self, file: object) -> int:
        """`file`, which was its socket when it was waited for, can be read or written: NOTHING, OPENED or ANSWERED. Raises Broken."""
        if file is not self._socket:  # closed meanwhile
            return NOTHING
        state = self.state
        if state >= IDLE:
            if state == SENDING:
                self._send_rest()
            return self._receive()
        if state == CONNECTING:
            return self._connected()
        return self._greet()

    def _connected(self) -> int:
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._refused(code)
        if self._where.tls is None:
            return self._opened()
        self._selector.unregister(self._socket)
        self._socket = self._where.tls.wrap_socket(
            self._socket, server_hostname=self._where.server_name, do_handshake_on_connect=False
        )
        self.state = GREETING
        self._selector.register(self._socket, WRITE, self)
        return self._greet()

    def _greet(self) -> int:
        sock = self._socket
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(sock, READ, self)
            return NOTHING
        except ssl.SSLWantWriteError:
            self._selector.modify(sock, WRITE, self)
            return NOTHING
        except OSError as error:
            raise Broken(TLS, said(error)) from None
        return self._opened()

    def _opened(self) -> int:
        assert self._socket is not None
        self._selector.modify(self._socket, READ, self)
        self.state = IDLE
        return OPENED

    def _send_rest(self) -> None:
        assert self._socket is not None
        try:
            count = self._socket.send(self._rest)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:  # it listens no more; it may have answered before that
            count = len(self._rest)
            self.answers.closes = True
        self._rest = self._rest[count:]
        if not self._rest:
            self.state = WAITING
            self._selector.modify(self._socket, READ, self)

    def _receive(self) -> int:
        while True:
            assert self._socket is not None
            try:
                data = self._socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return NOTHING
            except OSError as error:
                raise _broken(error) from None
            if self._completes(data):
                return ANSWERED
            if self._where.tls is None:  # TLS may hold more than the selector knows of
                return NOTHING

    def _completes(self, data: bytes) -> bool:
        """Whether `data` (nothing: the end of the connection) completes an answer."""
        try:
            if not data:
                if self.answers.end():
                    return True
                raise Broken(CLOSED, "the server closed the connection without an answer")
            if self.request is None:
                raise WrongLength("bytes came that nobody had asked for")
            self.received += len(data)
            complete = self.answers.feed(data, self.request.timed)
        except WrongLength as error:
            raise Broken(WRONG_LENGTH, str(error)) from None
        except Malformed as error:
            raise Broken(NO_HTTP, str(error)) from None
        if complete:
            if self.state == SENDING:  # an answer to half a request: nothing else may follow it
                self.answers.closes = True
            self.state = IDLE
        return complete

    def _refused(self, code: int) -> None:
        error = OSError(code, "")
        raise Broken(REFUSED if code == errno.ECONNREFUSED else UNREACHABLE, said(error))


def _broken(error: OSError) -> Broken:
    if isinstance(error, ssl.SSLEOFError):
        return Broken(CLOSED, "the server ended the TLS connection")
    if isinstance(error, ssl.SSLError):
        return Broken(TLS, said(error))
    return Broken(RESET if error.errno in _RESETS else UNREACHABLE, said(error))
