"""The least of HTTP/1.1 that a client of our own needs: one request as bytes, answers cut from a stream."""

from __future__ import annotations


def request_bytes(port: int, route: str, body: bytes, method: str = "POST", more: bytes = b"") -> bytes:
    """A whole request on a connection that stays open; `more` are whole header lines, each with its end."""
    return (
        b"%b %b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
        % (method.encode(), route.encode(), port, more, len(body), body)
    )


class Answers:
    """Cuts answers out of what arrives: by Content-Length, by chunks, or up to the end of the connection."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.keep = True  # whether the last answer leaves the connection open

    def feed(self, data: bytes) -> tuple[int, bytes] | None:
        """The next whole answer as status and body (chunks put together), or None while it is not complete."""
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[:end]).lower()
        at = end + 4
        found = self._chunks(at) if b"\r\ntransfer-encoding: chunked" in head else self._counted(head, at)
        if found is None:
            return None
        body, at = found
        status = int(head[9:12])
        self.keep = b"\r\nconnection: close" not in head
        del self.buffer[:at]
        return status, body

    def _counted(self, head: bytes, at: int) -> tuple[bytes, int] | None:
        name = b"\r\ncontent-length:"
        start = head.find(name)
        if start < 0:
            raise ValueError(f"an answer of unknown length: {head[:200]!r}")
        length = int(head[start + len(name) :].split(b"\r\n", 1)[0])
        if len(self.buffer) < at + length:
            return None
        return bytes(self.buffer[at : at + length]), at + length

    def _chunks(self, at: int) -> tuple[bytes, int] | None:
        pieces = []
        while True:
            line = self.buffer.find(b"\r\n", at)
            if line < 0:
                return None
            size = int(bytes(self.buffer[at:line]).split(b";")[0], 16)
            at = line + 2
            if len(self.buffer) < at + size + 2:
                return None
            pieces.append(bytes(self.buffer[at : at + size]))
            at += size + 2
            if size == 0:
                return b"".join(pieces), at
