"""Whether there is room on a disk, before anything is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from inference_server.storage.errors import DestinationError
from inference_server.storage.progress import in_bytes


def require_space(folder: Path, needed: int, make_room: Callable[[int], object] = lambda count: None) -> None:
    """Raises DestinationError unless the disk of `folder` has `needed` bytes free, if need be after `make_room` was
    asked for what lacks."""
    lacks = needed - shutil.disk_usage(folder).free
    if lacks <= 0:
        return
    make_room(lacks)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DestinationError(
            f"the disk of {folder} has {in_bytes(free)} free, and {in_bytes(needed)} are needed: "
            "free some space there, or choose another disk"
        )
