"""Cutting answers out of what a connection brings: as little of HTTP/1.1 as tells where each one ends."""

from __future__ import annotations

import re

MOST_HEAD = 1 << 17  # bytes
SAMPLE = 400  # bytes that are kept of a body that may have to be shown
_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)[ \r]")
# What of a head matters here; the rest is passed over.
_FIELDS = re.compile(rb"\r\n(content-length|transfer-encoding|connection): *([^\r]*)", re.IGNORECASE)
_TIMING = re.compile(rb"\r\nserver-timing: *([^\r]*)", re.IGNORECASE)
_HEAD, _COUNTED, _CHUNKED, _TO_END = range(4)


class Malformed(Exception):
    """What came is no answer of HTTP/1.1, or is longer or shorter than it said; the text says which."""


class WrongLength(Malformed):
    """The body is not as long as its head said."""


class Answers:
    """The answers of one connection. After `feed` has said that one is complete, its facts can be read."""

    __slots__ = ("_buffer", "_left", "_mode", "bodiless", "closes", "sample", "status", "timing")

    def __init__(self) -> None:
        self.status = 0
        self.closes = False  # the connection cannot be used again
        self.sample = b""  # the beginning of a body whose status is not 2xx
        self.timing = b""  # what the Server-Timing headers say
        self.bodiless = False  # the request was one whose answer has a head only (HEAD)
        self._buffer = b""
        self._left = 0
        self._mode = _HEAD

    @property
    def begun(self) -> bool:
        """Whether a part of an answer has come."""
        return self._mode != _HEAD or self._buffer != b""

    def feed(self, data: bytes, timed: bool = False) -> bool:
        """Take what has arrived; whether that completes the answer. `timed`: read its Server-Timing.

        Raises Malformed and WrongLength.
        """
        if self._mode == _HEAD:
            found = self._head(self._buffer + data if self._buffer else data, timed)
            if found is None:
                return False
            data = found
        if self._mode == _COUNTED:
            return self._counted(data)
        if self._mode == _CHUNKED:
            return self._chunks(self._buffer + data)
        self._keep(data)
        return False

    def end(self) -> bool:
        """The connection has ended; whether that completes an answer. Raises WrongLength where it cuts one short."""
        if self._mode == _TO_END:
            self._mode = _HEAD
            return True
        if self._mode != _HEAD:
            raise WrongLength("an answer ended before its body was complete")
        if self._buffer:
            raise WrongLength("an answer ended in the middle of its head")
        return False

    def _head(self, data: bytes, timed: bool) -> bytes | None:
        """Read the head; what follows it, or None while it is not complete."""
        end = data.find(_END)
        if end < 0:
            if len(data) > MOST_HEAD or not b"HTTP/1.".startswith(data[:7]):
                raise Malformed(f"an answer begins with {data[:40]!r}")
            self._buffer = data
            return None
        match = _STATUS.match(data)
        if match is None:
            raise Malformed(f"an answer begins with {data[:40]!r}")
        self._buffer = b""
        self.status = int(match[1])
        rest = data[end + 4 :]
        if 100 <= self.status < 200:  # the answer proper follows
            return self._head(rest, timed)
        self.sample = b""
        self.timing = b", ".join(_TIMING.findall(data, 0, end)) if timed else b""
        self._body_of(data, end)
        return rest

    def _body_of(self, data: bytes, end: int) -> None:
        length, chunked = -1, False
        self.closes = data[7:8] == b"0"
        for name, value in _FIELDS.findall(data, 0, end):
            first = name[:4].lower()
            if first == b"cont":
                if not value.isdigit():
                    raise Malformed(f"an answer has the Content-Length {value[:40]!r}")
                length = int(value)
            elif first == b"tran":
                chunked = b"chunked" in value.lower()
            else:
                self.closes = b"close" in value.lower() or (self.closes and b"keep" not in value.lower())
        if self.bodiless or self.status in (204, 304):
            self._mode, self._left = _COUNTED, 0
        elif chunked:
            self._mode = _CHUNKED
        elif length >= 0:
            self._mode, self._left = _COUNTED, length
        else:
            self._mode, self.closes = _TO_END, True

    def _counted(self, data: bytes) -> bool:
        self._left -= len(data)
        if self._left < 0:
            raise WrongLength("bytes came after the end of an answer")
        if self.status >= 300:
            self._keep(data)
        if self._left:
            return False
        self._mode = _HEAD
        return True

    def _chunks(self, data: bytes) -> bool:
        """Pass over whole chunks; what is left of `data` is kept for later."""
        at = 0
        while True:
            if self._left:  # of a chunk and the line end behind it
                take = min(self._left, len(data) - at)
                if self._left > 2:
                    self._keep(data[at : at + min(take, self._left - 2)])
                self._left -= take
                at += take
                if self._left:
                    self._buffer = b""
                    return False
            line = data.find(b"\r\n", at)
            if line < 0:
                self._buffer = data[at:]
                return False
            try:
                size = int(data[at:line].partition(b";")[0], 16)
            except ValueError:
                raise Malformed(f"a chunk of an answer begins with {data[at:line][:40]!r}") from None
            if not size:
                return self._last(data, at, line)
            at, self._left = line + 2, size + 2

    def _last(self, data: bytes, at: int, line: int) -> bool:
        """The last chunk: trailers may follow, then an empty line."""
        end = line if data.startswith(b"\r\n", line + 2) else data.find(_END, line)
        if end < 0:
            self._buffer = data[at:]
            return False
        if len(data) > end + 4:
            raise WrongLength("bytes came after the end of an answer")
        self._buffer = b""
        self._mode = _HEAD
        return True

    def _keep(self, data: bytes) -> None:
        if self.status >= 300 and len(self.sample) < SAMPLE:
            self.sample = (self.sample + data)[:SAMPLE]
