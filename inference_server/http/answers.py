"""An answer's head, as bytes for a connection and as a list for ASGI: one source for both.

Lines in this order: Server, Date, Connection, x-ms-server-version, Content-Type, x-ms-run-function-failed,
Content-Length or Transfer-Encoding, x-ms-run-fn-exec-ms, the ids, CORS, then the script's own. All but the last
five are the same for most answers of one second, so they are kept, keyed by what they depend on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from inference_server.messages import Answer

NO_BODY, WITH_LENGTH, CHUNKED, UNTIL_CLOSE = range(4)  # how an answer's body goes onto the connection

LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_MOST_PREFIXES = 256  # content types come from scripts: there may be many
_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
# What a script may not set: the framing and the connection are the server's, so are date, name and ids.
_OURS = re.compile(
    rb"^(?:content-length|transfer-encoding|connection|keep-alive|proxy-connection|upgrade|trailer|date|server"
    rb"|x-request-id|x-ms-request-id|x-ms-client-request-id):[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_ENTITY = re.compile(
    rb"^(?:content-(?:type|encoding|language|range|md5)|last-modified|allow):[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_FAILED = {
    None: b"",
    False: b"x-ms-run-function-failed: False\r\n",
    True: b"x-ms-run-function-failed: True\r\n",
}
# An ASGI server adds these itself.
_CONNECTION_NAMES = frozenset((b"server", b"date", b"connection", b"transfer-encoding"))

# Status, type and failed flag of an answer; the rest only where it is not what most answers are.
_Key = tuple[int, bytes, bool | None] | tuple[int, bytes, bool | None, bytes, bool, bool]
_TIMED = b"%bContent-Length: %d\r\nx-ms-run-fn-exec-ms: %.3f\r\n%b%b%b\r\n"


def bodyless(status: int) -> bool:
    """Whether an answer of this status never has a body, nor a length (RFC 9110 6.4.1)."""
    return status < 200 or status == 204 or status == 304


def framing(answer: Answer, method: str, version: bytes) -> int:
    """How the body goes out. UNTIL_CLOSE (a stream to an HTTP/1.0 caller) means that the connection must close."""
    if method == "HEAD" or bodyless(answer.status):
        return NO_BODY
    if answer.stream is None:
        return WITH_LENGTH
    return CHUNKED if version == b"HTTP/1.1" else UNTIL_CLOSE


def chunk(data: bytes) -> bytes:
    """One chunk of a streamed answer. `data` is not empty: an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class AnswerHeads:
    """Writes heads. `server_version`: the value of x-ms-server-version; empty: the header is not sent."""

    def __init__(
        self, server_version: str = "", server: str = "azmlinfsrv", clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock  # seconds since the epoch
        self._second = -1
        self._server = b"Server: %b\r\nDate: " % server.encode("latin-1")
        self._version = (
            f"x-ms-server-version: {server_version}\r\n".encode("latin-1") if server_version else b""
        )
        self._opening = b""
        self._prefixes: dict[_Key, bytes] = {}

    def render(
        self,
        answer: Answer,
        ids: bytes,
        cors: bytes = b"",
        version: bytes = b"HTTP/1.1",
        keep_alive: bool = True,
    ) -> bytes:
        """The head of `answer`, its empty line included.

        `ids` and `cors` are header lines, each ended by CRLF; `version` is the request's. A streamed answer to an
        HTTP/1.0 request ends with the connection, so `keep_alive` must be False there.
        """
        if int(self._clock()) != self._second:
            self._turn()
        status = answer.status
        streamed = answer.stream is not None
        key: _Key = (status, answer.content_type, answer.failed)
        if streamed or not keep_alive or version != b"HTTP/1.1":
            key = (*key, version, keep_alive, streamed)
        prefix = self._prefixes.get(key) or self._keep(key, answer, version, keep_alive)
        more = answer.headers
        if more:
            more = _OURS.sub(b"", more)
            if status == 304:
                more = _ENTITY.sub(b"", more)
        exec_ms = answer.exec_ms
        if exec_ms is not None and status == 200 and not streamed:
            return _TIMED % (prefix, len(answer.body), exec_ms, ids, cors, more)
        timing = b"" if exec_ms is None else b"x-ms-run-fn-exec-ms: %.3f\r\n" % exec_ms
        if streamed or bodyless(status):
            return b"%b%b%b%b%b\r\n" % (prefix, timing, ids, cors, more)
        return b"%bContent-Length: %d\r\n%b%b%b%b\r\n" % (prefix, len(answer.body), timing, ids, cors, more)

    def header_list(self, answer: Answer, ids: bytes, cors: bytes = b"") -> list[tuple[bytes, bytes]]:
        """The same headers for an ASGI server, without those that such a server adds itself."""
        lines = self.render(answer, ids, cors).split(b"\r\n")[1:-2]
        pairs = [line.partition(b":") for line in lines]
        return [
            (lowered, value.strip(b" \t"))
            for name, _, value in pairs
            if (lowered := name.lower()) not in _CONNECTION_NAMES
        ]

    def render_pairs(
        self, status: int, headers: list[tuple[bytes, bytes]], version: bytes, keep_alive: bool
    ) -> bytes:
        """The head of an answer that an ASGI application gave as a list: what its server adds is added here."""
        self._turn()
        lines = b"".join([b"%b: %b\r\n" % pair for pair in headers if pair[0] not in _CONNECTION_NAMES])
        return self._first_lines(status, version, keep_alive) + lines + b"\r\n"

    def _turn(self) -> None:
        """What is kept holds the date, so it is kept for one second."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._opening = self._server + formatdate(second, usegmt=True).encode("ascii") + b"\r\n"
            self._prefixes.clear()

    def _first_lines(self, status: int, version: bytes, keep_alive: bool) -> bytes:
        lines = b"%b %d %b\r\n" % (version, status, _REASONS.get(status, b"UNKNOWN")) + self._opening
        if not keep_alive:
            lines += b"Connection: close\r\n"
        elif version != b"HTTP/1.1":
            lines += b"Connection: keep-alive\r\n"
        return lines

    def _keep(self, key: _Key, answer: Answer, version: bytes, keep_alive: bool) -> bytes:
        """The lines that all answers of this second with the same key begin with."""
        lines = self._first_lines(answer.status, version, keep_alive) + self._version
        if answer.content_type and answer.status != 304:
            lines += b"Content-Type: %b\r\n" % answer.content_type
        lines += _FAILED[answer.failed]
        if answer.stream is not None and version == b"HTTP/1.1" and not bodyless(answer.status):
            lines += b"Transfer-Encoding: chunked\r\n"
        if len(self._prefixes) >= _MOST_PREFIXES:
            self._prefixes.clear()
        self._prefixes[key] = lines
        return lines
