"""A folder that stays small: whole files only, and the least wanted leave first."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from inference_server.recording.document import FAILED, GOOD, SUFFIX

LOOK_SECONDS = 5.0  # between two looks at what the folder really holds: somebody else may write or clear it
STALE_SECONDS = 60.0  # after which the unfinished file of somebody else is one that was given up
_PARTIAL = ".unfinished-"


@dataclass
class _Held:
    good: dict[str, int]  # bytes by name, the oldest first
    failed: dict[str, int]

    @property
    def size(self) -> int:
        return sum(self.good.values()) + sum(self.failed.values())

    @property
    def count(self) -> int:
        return len(self.good) + len(self.failed)


class Folder:
    """At most `most_bytes` in `most_files` files, readable for their owner only, since they hold what callers sent.

    A file's name begins with its kind and its time, so that the order of names is the order of age.
    """

    def __init__(
        self, path: str, most_bytes: int, most_files: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = os.path.abspath(path)
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._clock = clock
        self._held = _Held({}, {})
        self._size = 0
        self._looked = -LOOK_SECONDS

    def open(self) -> None:
        """Make the folder, and see what it holds from an earlier run. Raises OSError."""
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        self._look()
        if not os.access(self.path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def put(self, name: str, data: bytes) -> bool:
        """Write one file; what is least wanted makes room. False: it would be that one itself, so it was not written.

        Raises OSError; nothing but whole files is left then.
        """
        if not self._make_room(name, len(data)):
            return False
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        partial = os.path.join(self.path, f"{_PARTIAL}{os.getpid()}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(partial, os.path.join(self.path, name))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        self._kind(name)[name] = len(data)
        self._size += len(data)
        return True

    def _make_room(self, name: str, size: int) -> bool:
        if size > self._most_bytes:
            return False
        if self._full(size):
            self._look()
        while self._full(size):
            least = self._held.good or self._held.failed
            if name.startswith(GOOD) and not self._held.good:
                return False
            oldest = next(iter(least))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, oldest))
            self._size -= least.pop(oldest)
        return True

    def _full(self, size: int) -> bool:
        return self._size + size > self._most_bytes or self._held.count + 1 > self._most_files

    def _kind(self, name: str) -> dict[str, int]:
        return self._held.good if name.startswith(GOOD) else self._held.failed

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        found: list[tuple[str, int]] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # it has gone meanwhile
                    self._see(entry, found)
        self._held = _Held({}, {})
        for name, size in sorted(found):
            self._kind(name)[name] = size
        self._size = self._held.size

    def _see(self, entry: os.DirEntry[str], found: list[tuple[str, int]]) -> None:
        name = entry.name
        if name.endswith(SUFFIX) and name.startswith((f"{GOOD}-", f"{FAILED}-")):
            found.append((name, entry.stat(follow_symlinks=False).st_size))
        elif name.startswith(_PARTIAL) and time.time() - entry.stat().st_mtime > STALE_SECONDS:
            os.unlink(entry.path)


_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)  # what only some systems know
