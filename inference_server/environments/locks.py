"""Locks on files, which the system gives up when their last holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType

LOOK_SECONDS = 0.05


class Lock:
    """An exclusive lock. On POSIX, processes that inherit `descriptor` hold it too, until the last of them ends.

    The file holds the process number of who took it, and is removed by `release`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = -1

    def take(self) -> bool:
        """Take it now; False: somebody else has it. Raises OSError when the file cannot be made."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _lock(descriptor):
                os.close(descriptor)
                return False
            if _is_at(descriptor, self.path):
                break
            os.close(descriptor)  # its last holder removed it between the two calls
        with contextlib.suppress(OSError):  # a full disk: it is only for people
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d" % os.getpid(), 0) if hasattr(os, "pwrite") else None
        self.descriptor = descriptor
        return True

    def wait(self, tick: Callable[[], None]) -> None:
        """Take it when it is free. `tick` is called every now and then, and may raise to give up."""
        while not self.take():
            tick()
            time.sleep(LOOK_SECONDS)

    def release(self) -> None:
        """Give it up. Nothing happens where it is not held."""
        if self.descriptor < 0:
            return
        with contextlib.suppress(OSError):  # Windows does not remove an open file
            os.unlink(self.path)
        os.close(self.descriptor)
        self.descriptor = -1

    @property
    def holder(self) -> int:
        """The process that took it last, as it said; 0: not known."""
        try:
            with open(self.path) as file:
                return int(file.read(20) or 0)
        except (OSError, ValueError):
            return 0

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _is_at(descriptor: int, path: str) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # behind the text, which others may then read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
