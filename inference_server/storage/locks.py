"""A lock that processes hold on a path; the system lets it go when its holder dies, however that was."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from inference_server.storage.errors import Stopped

LOOK_SECONDS = 0.05


@contextmanager
def locked(path: Path, stop: Event, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock on `path`, whose folder must be there. `wait` is called once when another holds it.

    The file goes when the lock does. Raises Stopped when `stop` is set while waiting; OSError.
    """
    descriptor = _acquire(path, stop, wait)
    try:
        yield
    finally:
        try:
            with suppress(OSError):  # Windows: not while it is open; it is empty and may stay
                path.unlink()
        finally:
            os.close(descriptor)


def _acquire(path: Path, stop: Event, wait: Callable[[], None]) -> int:
    waits = False
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            while not _try(descriptor):
                if not waits:
                    waits = True
                    wait()
                if stop.wait(LOOK_SECONDS):
                    raise Stopped("stopped")
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it as it let go: the lock is another file now


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
