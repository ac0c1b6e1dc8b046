"""A second place for a file: a clone that shares its blocks, a hard link, or a copy, whichever is possible first."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_FICLONE = 0x40049409  # ioctl(2) of Linux: share the blocks of another file until one of the two is written
_cannot_clone: set[tuple[int, int]] = set()  # pairs of devices that were tried


def link_or_copy(source: Path, target: Path) -> None:
    """Have the content of `source` at `target`, which is not there yet, with its mode and times. Raises OSError."""
    devices = (os.stat(source).st_dev, os.stat(target.parent).st_dev)
    if devices not in _cannot_clone:
        if _clone(source, target):
            shutil.copystat(source, target)
            return
        _cannot_clone.add(devices)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, one without links, or too many of them
        shutil.copyfile(source, target)
        shutil.copystat(source, target)


def shares(source: Path, target: Path) -> bool:
    """Whether files of the one folder can be had in the other without taking space again."""
    return os.stat(source).st_dev == os.stat(target).st_dev


def _clone(source: Path, target: Path) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl

    with open(source, "rb") as read, open(target, "xb") as written:
        try:
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
            return True
        except OSError:
            pass
    target.unlink()
    return False
