"""Reads a chunked body as its bytes arrive, without I/O, and refuses all that two parsers could read differently.

chunked-body = *( 1*HEXDIG [ chunk-ext ] CRLF chunk-data CRLF ) 1*"0" [ chunk-ext ] CRLF *( trailer CRLF ) CRLF
"""

from __future__ import annotations

from inference_server.errors import RequestRefused
from inference_server.http import diagnosis, grammar
from inference_server.http.limits import Limits

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkReader:
    """One body. Feed it until it is done; then `pieces` holds the body and `rest` what followed it.

    Trailers are checked and dropped: nothing that arrives after the body may change how it is handled.
    """

    __slots__ = ("_chunks", "_extensions", "_held", "_left", "_limits", "_step", "pieces", "rest", "total")

    def __init__(self, limits: Limits) -> None:
        self.pieces: list[bytes] = []
        self.total = 0  # bytes of the body announced so far
        self.rest = b""
        self._limits = limits
        self._held = b""  # the beginning of a line whose end has not arrived
        self._left = 0  # bytes of the current chunk still to come
        self._chunks = 0
        self._extensions = 0
        self._step = _SIZE

    @property
    def received(self) -> int:
        """Bytes of the body that are here."""
        return self.total - self._left

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True when the body is complete, after which it takes no more.

        Raises RequestRefused: 400 malformed, 413 over a limit of the body, 431 over the limit of trailers.
        """
        if self._held:
            data = self._held + data
            self._held = b""
        at, end = 0, len(data)
        while at < end:
            if self._step == _DATA:
                at = self._take(data, at, end)
            elif self._step == _SIZE:
                at = self._open_chunk(data, at)
            elif self._step == _DATA_END:
                at = self._close_chunk(data, at)
            else:
                at = self._skip_trailers(data, at)
            if at < 0:
                return False
            if self._step == _DONE:
                self.rest = data[at:]
                return True
        return False

    def _take(self, data: bytes, at: int, end: int) -> int:
        stop = at + self._left
        if stop > end:
            stop = end
        else:
            self._step = _DATA_END
        self._left -= stop - at
        self.pieces.append(data if stop - at == end else data[at:stop])
        return stop

    def _open_chunk(self, data: bytes, at: int) -> int:
        match = grammar.SIZE_LINE.match(data, at)
        if match is None:
            return self._hold_line(data, at)
        digits, extensions = match.groups()
        size = int(digits, 16)
        limits = self._limits
        self._extensions += len(extensions)
        if self._extensions > limits.chunk_extension_bytes:
            raise self._extensions_too_long()
        if size == 0:
            self._step = _TRAILERS
            return match.end()
        self._chunks += 1
        if self._chunks > limits.chunks:
            raise RequestRefused(413, f"the request body has more than {limits.chunks} chunks")
        self.total += size
        if self.total > limits.body_bytes:
            raise RequestRefused(413, f"the request body is larger than {limits.body_bytes} bytes")
        self._left = size
        self._step = _DATA
        return match.end()

    def _hold_line(self, data: bytes, at: int) -> int:
        """No valid size line at `at`: keep what has arrived of it, or refuse it when it can never become one."""
        line = data[at:]
        if b"\n" in line or grammar.NEVER_VALID.search(line):
            raise RequestRefused(400, "malformed chunk size line")
        digits = line.partition(b";")[0].removesuffix(b"\r")
        if not grammar.IS_SIZE.fullmatch(digits):
            raise RequestRefused(400, "malformed chunk size")
        if self._extensions + len(line) - len(digits) > self._limits.chunk_extension_bytes + 1:
            raise self._extensions_too_long()
        self._held = line
        return -1

    def _extensions_too_long(self) -> RequestRefused:
        return RequestRefused(413, f"chunk extensions longer than {self._limits.chunk_extension_bytes} bytes")

    def _close_chunk(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self._step = _SIZE
            return at + 2
        if data[at:] == b"\r":
            self._held = b"\r"
            return -1
        raise RequestRefused(400, "a chunk does not end in CRLF where its size says")

    def _skip_trailers(self, data: bytes, at: int) -> int:
        """Find the empty line that ends the body; the lines before it must be headers by the grammar."""
        limits = self._limits
        stop = at
        if not data.startswith(b"\r\n", at):
            last = data.find(b"\r\n\r\n", at)
            if last < 0:
                return self._hold_trailers(data[at:])
            stop = last + 2
        if stop - at > limits.trailer_bytes:
            raise self._trailers_too_long()
        if not grammar.FIELDS.fullmatch(data, at, stop):
            raise RequestRefused(400, "malformed trailer")
        if data.count(b"\n", at, stop) > limits.fields:
            raise diagnosis.too_many_fields(limits)
        self._step = _DONE
        return stop + 2

    def _hold_trailers(self, block: bytes) -> int:
        if grammar.NEVER_VALID.search(block):
            raise RequestRefused(400, "malformed trailer")
        if len(block) > self._limits.trailer_bytes + 3:  # three bytes of the end may be there already
            raise self._trailers_too_long()
        self._held = block
        return -1

    def _trailers_too_long(self) -> RequestRefused:
        return RequestRefused(431, f"trailers longer than {self._limits.trailer_bytes} bytes")
