"""tar, tar.gz and tar.zst, read once from the beginning to the end."""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from inference_server.storage.archives import Budget, Tree, safe_path
from inference_server.storage.checksum import PIECE
from inference_server.storage.errors import ContentError, DestinationError

_BLOCK = tarfile.BLOCKSIZE
_LARGEST_READ = 16 * PIECE  # no header needs more; what claims to is made to fill the memory


def members(archive: Path, kind: str, tree: Tree) -> None:
    """Put everything in the archive into the tree. Raises ContentError, tarfile.TarError and others of its kind."""
    with open(archive, "rb") as packed:
        stream = _Forward(_opened(packed, kind), tree.budget)
        try:
            with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
                for member in tar:
                    _put(tar, member, tree)
                    tar.members.clear()  # or a million of them stay in memory
        except Exception as error:
            if kind == "tar.zst" and type(error).__name__ == "ZstdError":
                raise tarfile.ReadError(str(error)) from error
            raise
        if stream.last != bytes(_BLOCK):
            raise EOFError("its end is missing")
        stream.drain()  # to the checksum at the end of what is compressed


def _put(tar: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree) -> None:
    name = member.name
    safe_path(name)
    if member.isdir():
        tree.folder(name)
    elif member.issym():
        tree.link(name, member.linkname)
    elif member.islnk():
        tree.same_file(name, member.linkname)
    elif member.isreg():
        _second_opinion(member, tree)
        data = tar.extractfile(member)
        assert data is not None
        tree.file(name, data, member.size, bool(member.mode & 0o100))
    else:
        raise ContentError(f"{name!r} is a device or another thing that is neither file, folder nor link")


def _second_opinion(member: tarfile.TarInfo, tree: Tree) -> None:
    """The standard library's own filter, where this Python has it."""
    data_filter: Callable[[tarfile.TarInfo, str], Any] | None = getattr(tarfile, "data_filter", None)
    if data_filter is not None:
        try:
            data_filter(member, str(tree.root))
        except tarfile.TarError as error:
            raise ContentError(str(error)) from error


def _opened(packed: IO[bytes], kind: str) -> Any:
    if kind == "tar.gz":
        import gzip

        return gzip.GzipFile(fileobj=packed)
    if kind == "tar.zst":
        return _zstd(packed)
    return packed


def _zstd(packed: IO[bytes]) -> Any:
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdFile

        return ZstdFile(packed)
    try:
        import zstandard
    except ModuleNotFoundError:
        raise DestinationError(
            "to unpack tar.zst, zstandard is needed: pip install 'azmlinfsrv[storage]'"
        ) from None
    return zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)


class _Forward:
    """A stream that tarfile may seek in, forwards, and back within what it read last; all bytes are budgeted."""

    def __init__(self, stream: Any, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget
        self._end = 0  # bytes taken from the stream
        self._at = 0
        self.last = b""  # what was read last, up to _end

    def read(self, count: int) -> bytes:
        """`count` bytes; fewer only at the end."""
        if count > _LARGEST_READ:
            raise ContentError("it has a header of many megabytes")
        back = self._end - self._at
        result = self.last[len(self.last) - back :][:count] if back else b""
        fresh = count - len(result)
        if fresh:
            data = self._take(fresh)
            result += data
            self.last = data or self.last
        self._at += len(result)
        return result

    def seek(self, at: int) -> int:
        """Go there."""
        while at > self._end:
            data = self._take(min(PIECE, at - self._end))
            if not data:
                raise EOFError("it ends early")
            self.last = data
        if at < self._end - len(self.last):
            raise tarfile.ReadError("it cannot be read in one go")
        self._at = at
        return at

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def drain(self) -> None:
        """Read what is left."""
        while self._take(PIECE):
            pass

    def _take(self, count: int) -> bytes:
        pieces = []
        while count and (data := self._stream.read(count)):
            pieces.append(data)
            count -= len(data)
            self._end += len(data)
            self._budget.take(len(data))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
