"""A file's time of change says which content it should have, so that a later change shows without reading it.

The fraction of the second is made from the content's checksum. Who writes into the file, through whatever link to it,
leaves another fraction; only reading all of it again (`--verify`) is surer.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_SECOND = 10**9
_STEP = 100  # nanoseconds: the finest that every usual file system keeps


def _fraction(sha256: str) -> int:
    return int(sha256[:12], 16) % _SECOND // _STEP * _STEP


def stamp(path: Path, sha256: str, second: int | None = None) -> None:
    """Mark `path` as holding the content with that checksum, changed at that second of the epoch or now."""
    at = (int(time.time()) if second is None else second) * _SECOND + _fraction(sha256)
    os.utime(path, ns=(at, at))


def is_stamped(status: os.stat_result, sha256: str, size: int) -> bool:
    """Whether a file with this status still looks as it was left. A file system that keeps whole seconds only is
    believed by the size."""
    if status.st_size != size:
        return False
    return status.st_mtime_ns % _SECOND in (_fraction(sha256), 0)
