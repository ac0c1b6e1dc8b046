"""A file or folder of this machine, by its path or as file://…

Links are followed. `__pycache__` is left out: Python makes its own where the code lands.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from inference_server.storage.source import Buffer, Changed, Entry, SourceError

PIECE = 1024 * 1024
BYTECODE = "__pycache__"


def local_path(address: str) -> str:
    """The path that `file://…` names, or the path itself. Raises SourceError for another machine's."""
    if not address.lower().startswith("file:"):
        return address
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise SourceError(
            f"{address} names a file of another machine ({parts.netloc}): mount it, give its path here"
        )
    from urllib.request import url2pathname  # brings a whole HTTP client along

    return url2pathname(parts.path)


class LocalSource:
    """A path of this machine."""

    ranged = True

    def __init__(self, address: str) -> None:
        """`address`: a path, `~` at its beginning is the home; or file://…"""
        self._path = Path(os.path.abspath(os.path.expanduser(local_path(address))))
        self.spoken = str(self._path)
        self.name = self._path.name
        self.is_folder: bool | None = None

    def entries(self) -> Sequence[Entry]:
        """The file, or the files of the folder in the order of their names."""
        try:
            status = self._path.stat()
            self.is_folder = stat.S_ISDIR(status.st_mode)
            if not self.is_folder:
                return [self._entry(self._path, self.name)]
            found = [
                self._entry(path, path.relative_to(self._path).as_posix()) for path in _files(self._path)
            ]
        except OSError as error:
            raise self._unreadable(error) from error
        if not found:
            raise SourceError(f"{self.spoken} is an empty folder: nothing to fetch")
        return found

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`. A piece is valid until the next one is asked for."""
        path = self._path / entry.path if self.is_folder else self._path
        buffer = memoryview(bytearray(PIECE))
        try:
            with open(path, "rb", buffering=0) as file:
                if _validator(os.fstat(file.fileno())) != entry.etag:
                    raise Changed(f"{path} was changed while it was read")
                file.seek(start)
                while stop is None or start < stop:
                    count = file.readinto(buffer if stop is None else buffer[: stop - start])
                    if not count:
                        return
                    yield buffer[:count]
                    start += count
        except FileNotFoundError as error:
            raise Changed(f"{path} was removed while it was read") from error
        except OSError as error:
            raise self._unreadable(error) from error

    def close(self) -> None:
        """Nothing is open."""

    def _entry(self, path: Path, name: str) -> Entry:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{path} is neither a file nor a folder: leave it out")
        return Entry(name, status.st_size, _validator(status), executable=bool(status.st_mode & stat.S_IXUSR))

    def _unreadable(self, error: OSError) -> SourceError:
        where = error.filename or self.spoken
        return SourceError(f"{where} cannot be read: {(error.strerror or str(error)).lower()}")


def _files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:  # a link that leads back
        return
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if not item.is_dir():
            yield Path(item.path)
        elif item.name != BYTECODE:
            yield from _files(Path(item.path), (*above, real))


def _validator(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"
