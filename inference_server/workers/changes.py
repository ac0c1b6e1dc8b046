"""Notices that the user's code or model has changed, and has the workers replaced."""

from __future__ import annotations

import asyncio
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
    watching = [_watch_code(pool)]
    if model_dir and os.path.isdir(model_dir):
        watching.append(_watch_model(pool, model_dir))
    await asyncio.gather(*watching)


async def _watch_code(pool: Pool) -> None:
    from watchfiles import awatch

    seen = stamps(pool.files)
    while True:
        folders = _folders(pool.files)
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
            now = stamps(pool.files)
            changed = [file for file in now if file in seen and seen[file] != now[file]]
            seen.update(now)
            if changed:
                pool.roll(_changed(changed))
            if _folders(pool.files) != folders:
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


def stamps(files: Iterable[str]) -> dict[str, Stamp]:
    """What tells a changed file; without those that are not there, as in the middle of a save."""
    result: dict[str, Stamp] = {}
    for file in files:
        try:
            status = os.stat(file)
        except OSError:
            continue
        result[file] = (status.st_mtime_ns, status.st_size)
    return result


def _folders(files: Iterable[str]) -> list[str]:
    return sorted({folder for folder in map(os.path.dirname, files) if os.path.isdir(folder)})


def _changed(files: list[str]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more} changed"
