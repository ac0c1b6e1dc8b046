"""Reads a body of known length as its bytes arrive."""

from __future__ import annotations


class SizedReader:
    """One body of `total` bytes. Feed it until it is done, as a ChunkReader."""

    __slots__ = ("_missing", "pieces", "rest", "total")

    def __init__(self, total: int) -> None:
        self.pieces: list[bytes] = []
        self.total = total
        self.rest = b""
        self._missing = total

    @property
    def received(self) -> int:
        """Bytes of the body that are here."""
        return self.total - self._missing

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True when the body is complete, after which it takes no more."""
        missing = self._missing
        if len(data) > missing:
            self.rest = data[missing:]
            data = data[:missing]
        if data:
            self.pieces.append(data)
        self._missing = missing = missing - len(data)
        return not missing
