"""Notices that the user's code or model has changed, and has the workers replaced."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference_server.workers.pool import Pool

CODE_STEP, MODEL_STEP = 50, 500  # milliseconds without a further change; a large model is written for a while
DEBOUNCE = 5000  # milliseconds after which changes that go on count all the same
LOOK = 1000  # milliseconds; also where the system tells of no changes, files are looked at so often
IGNORED = ("__pycache__", ".git", ".ipynb_checkpoints")

Stamp = tuple[int, int]  # time and size


async def watch(pool: Pool, model_dir: str) -> None:
    """Until cancelled: reload when a file that the script consists of, or one in the model's folder, changes."""
    told = logging.getLogger("watchfiles")
    if told.level == logging.NOTSET:  # else each line of a log that lies in such a folder makes another
        told.setLevel(logging.WARNING)
    if pool.spec.model_environment is not None:
        pool.files.add(pool.spec.model_environment.files)
    watching = [_watch_code(pool)]
    if model_dir and os.path.isdir(model_dir):
        watching.append(_watch_model(pool, model_dir))
    await asyncio.gather(*watching)


class Files:
    """The user's own files that workers have loaded, each with what tells its state: when that was said, or later."""

    def __init__(self) -> None:
        self._seen: dict[str, Stamp | None] = {}  # None: not there

    def add(self, files: Iterable[str]) -> None:
        """These are loaded as well. None is ever dropped: another worker, or the next call, may have it."""
        for file in files:
            if file not in self._seen:
                self._seen[file] = _stamp(file)

    def changed(self) -> list[str]:
        """Those that have changed since this was last asked. One that is away, as in the middle of a save, has not yet."""
        found = []
        for file, seen in self._seen.items():
            now = _stamp(file)
            if now is not None and now != seen:
                self._seen[file] = now
                found.append(file)
        return found

    def folders(self) -> list[str]:
        return sorted({folder for folder in map(os.path.dirname, self._seen) if os.path.isdir(folder)})


def _stamp(file: str) -> Stamp | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


async def _watch_code(pool: Pool) -> None:
    from watchfiles import awatch

    files = pool.files
    while True:
        folders = files.folders()
        changes = awatch(
            *(folders or ["."]),
            watch_filter=None,
            recursive=False,
            step=CODE_STEP,
            debounce=DEBOUNCE,
            rust_timeout=LOOK,
            yield_on_timeout=True,
        )
        async for _ in changes:
            if changed := files.changed():
                pool.roll(_changed(changed))
            if files.folders() != folders:
                break


async def _watch_model(pool: Pool, model_dir: str) -> None:
    from watchfiles import awatch

    async for changes in awatch(
        model_dir, watch_filter=lambda _, path: wanted(path), step=MODEL_STEP, debounce=DEBOUNCE * 2
    ):
        # init() may write beside the model, as compilers do: that must not have it run again, for ever
        if not pool.loading:
            pool.roll(_changed(sorted({path for _, path in changes})))


def wanted(path: str) -> bool:
    """Whether a file of the model's folder is more than a by-product."""
    parts = path.split(os.sep)
    return not any(part in IGNORED for part in parts) and not parts[-1].endswith(
        (".pyc", "~", ".swp", ".tmp")
    )


def _changed(files: list[str]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more} changed"
