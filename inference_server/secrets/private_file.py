"""Files that belong to one user: written as a whole, by one process at a time."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference_server.secrets.reference import Unresolved

WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.02


def write_private(path: Path, data: bytes) -> None:
    """Put `data` in the place of the file at once, readable by its owner only. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, a file made for it; the system lifts it when its holder ends, however it ends.

    Raises Unresolved when another holds it for long, and OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + WAIT_SECONDS
        while not _taken(descriptor):
            if time.monotonic() > until:
                raise Unresolved(
                    f"another command has held {path} for {WAIT_SECONDS:g} s: try again when it has ended"
                )
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
