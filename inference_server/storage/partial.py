"""A file that is put together from parts, in any order, over as many runs as it takes.

Beside the data lies a list of the parts that are complete; a part is on it only when all of it was written. The
checksums are computed while other parts are still on their way: whoever completes a part also reads on from where
the checksum stands, as far as there is no gap.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from inference_server.storage.checksum import PIECE
from inference_server.storage.source import Buffer


@dataclass(frozen=True)
class Part:
    """The bytes of a file from `start` to before `stop`; None: to its end, wherever that is."""

    number: int
    start: int
    stop: int | None


class Partial:
    """A download. `size`: of the whole in bytes, None: unknown. Raises OSError."""

    def __init__(self, place: Path, size: int | None, part_size: int, checksums: tuple[str, ...]) -> None:
        self.data = place.with_name(place.name + ".data")
        self._list = place.with_name(place.name + ".list")
        self.size = size
        self._part_size = part_size
        self._done = self._load()
        self._file = os.open(self.data, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        if size is not None:
            os.truncate(self._file, size)
        self._written = os.open(self._list, os.O_WRONLY | os.O_APPEND)
        self._seek = Lock()  # where there is no pwrite
        self.digests = {name: _Digest(name) for name in checksums}

    @property
    def missing(self) -> Iterator[Part]:
        """The parts that are still to be fetched."""
        if self.size is None:
            yield Part(0, 0, None)
            return
        for number in range(-(-self.size // self._part_size)):
            if number not in self._done:
                start = number * self._part_size
                yield Part(number, start, min(start + self._part_size, self.size))

    def write(self, data: Buffer, at: int) -> None:
        """Put bytes where they belong."""
        rest = memoryview(data).cast("B")
        while rest:
            count = self._write(rest, at)
            rest, at = rest[count:], at + count

    def complete(self, part: Part, stop: int) -> None:
        """All of the part is written, up to before `stop`."""
        if part.stop is None:
            os.truncate(self._file, stop)  # an attempt before may have got further
            self.size = stop
            self._done = set(range(-(-self.size // self._part_size)))
        else:
            os.write(self._written, b"%d\n" % part.number)
            self._done.add(part.number)
        self.advance()

    def advance(self) -> None:
        """Bring the checksums as far as they go without a gap; somebody else may be at it."""
        for digest in self.digests.values():
            while digest.at < self._whole_until(digest.at) and digest.lock.acquire(blocking=False):
                try:
                    self._feed(digest)
                finally:
                    digest.lock.release()

    def finish(self) -> dict[str, str]:
        """The checksums of the whole, by name, in hexadecimal; every part is complete. The file is closed."""
        for digest in self.digests.values():
            with digest.lock:
                self._feed(digest)
        self.close()
        self._list.unlink(missing_ok=True)
        return {name: digest.value.hexdigest() for name, digest in self.digests.items()}

    def restart(self) -> None:
        """Forget everything, when what was read turned out to be worthless, or cannot be taken up in the middle."""
        self.close()
        self._list.unlink(missing_ok=True)
        self.data.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave it for another time."""
        for descriptor in (self._file, self._written):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._written = -1

    def _load(self) -> set[int]:
        """The parts that are complete; the list is begun anew unless it is of this size, cut in the same way."""
        head = json.dumps([self.size, self._part_size])
        try:
            first, *lines = self._list.read_text().splitlines()
            if first == head and self.size is not None and self.data.stat().st_size == self.size:
                return {int(line) for line in lines if line.isdigit()}
        except (OSError, ValueError):
            pass
        self._list.unlink(missing_ok=True)
        self.data.unlink(missing_ok=True)
        self._list.write_text(head + "\n")
        return set()

    def _whole_until(self, at: int) -> int:
        """The byte before which nothing is missing, from `at` on, which lies at the border of a part or at the end."""
        size = self.size
        if size is None:
            return at
        number = at // self._part_size
        while number in self._done:
            number += 1
        return min(max(at, number * self._part_size), size)

    def _feed(self, digest: _Digest) -> None:
        while digest.at < (until := self._whole_until(digest.at)):
            while digest.at < until:
                count = self._read(digest.buffer[: until - digest.at], digest.at)
                if not count:
                    raise OSError(f"{self.data} is shorter than what was written to it")
                digest.value.update(digest.buffer[:count])
                digest.at += count

    if sys.platform == "win32":

        def _write(self, data: memoryview, at: int) -> int:
            with self._seek:
                os.lseek(self._file, at, os.SEEK_SET)
                return os.write(self._file, data)

        def _read(self, buffer: memoryview, at: int) -> int:
            with self._seek:
                os.lseek(self._file, at, os.SEEK_SET)
                data = os.read(self._file, len(buffer))
            buffer[: len(data)] = data
            return len(data)

    else:

        def _write(self, data: memoryview, at: int) -> int:
            return os.pwrite(self._file, data, at)

        def _read(self, buffer: memoryview, at: int) -> int:
            if hasattr(os, "preadv"):
                return os.preadv(self._file, [buffer], at)
            data = os.pread(self._file, len(buffer), at)  # macOS before 11
            buffer[: len(data)] = data
            return len(data)


class _Digest:
    """A checksum, and how far it is."""

    def __init__(self, name: str) -> None:
        self.value = hashlib.new(name, usedforsecurity=False)
        self.at = 0
        self.buffer = memoryview(bytearray(PIECE))
        self.lock = Lock()
