"""The store stays within its bounds: what was not used for longest goes first."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path
from threading import Event

from inference_server.storage.errors import Stopped
from inference_server.storage.locks import locked
from inference_server.storage.store import BLOBS, INDEX, PARTS, TREES, UNPACK, Store

FORGOTTEN_SECONDS = 7 * 24 * 3600.0  # a download that nobody went on with for so long


def evict(store: Store, most: int, needed: int = 0, keep: Set[str] = frozenset()) -> int:
    """Remove the files used longest ago until `most` bytes are left, and until `needed` bytes of disk were freed.

    `keep`: the keys of downloads that stay.
    Returns the bytes of disk that were freed: a file that a deployment shares frees none.
    """
    freed = _forget_downloads(store, bool(needed), keep)
    used = _last_uses(store)
    blobs = [(path, path.stat()) for path in _files(store.root / BLOBS)]
    blobs.sort(key=lambda item: used.get(item[0].name, item[1].st_ctime))
    total = sum(status.st_size for _, status in blobs)
    for path, status in blobs:
        if total <= most and freed >= needed:
            break
        path.unlink(missing_ok=True)
        total -= status.st_size
        freed += status.st_size if status.st_nlink == 1 else 0
    _forget_words(store)
    return freed


def _last_uses(store: Store) -> dict[str, float]:
    """When each blob was used last, in seconds of the epoch, by its name."""
    used: dict[str, float] = {}
    for path, names in _mentions(store):
        at = path.stat().st_mtime
        for name in names:
            used[name] = max(at, used.get(name, 0.0))
    return used


def _forget_words(store: Store) -> None:
    """What is said of blobs that are gone."""
    for path, names in _mentions(store):
        is_tree = path.parent.parent.name == TREES
        gone = [name for name in names if not (store.root / BLOBS / name[:2] / name).exists()]
        if gone and (is_tree or not (store.root / TREES / names[0][:2] / names[0]).exists()):
            path.unlink(missing_ok=True)


def _mentions(store: Store) -> Iterator[tuple[Path, list[str]]]:
    """Every file of the index and the trees, with the names of the blobs in it."""
    for kind in (TREES, INDEX):
        for path in _files(store.root / kind):
            with suppress(OSError, ValueError, KeyError, TypeError):
                found = json.loads(path.read_bytes())
                blobs = (
                    [found] if kind == INDEX else [item["blob"] for item in found["members"] if item["blob"]]
                )
                yield path, [blob["sha256"] + (".x" if blob["executable"] else "") for blob in blobs]


def _forget_downloads(store: Store, everything: bool, keep: Set[str]) -> int:
    """Downloads and unpacking that nobody is at, and that are old or in the way; returns the bytes of disk freed."""
    freed = 0
    before = time.time() - (0.0 if everything else FORGOTTEN_SECONDS)
    now = Event()
    now.set()
    for folder in (PARTS, UNPACK):
        for path in list((store.root / folder).iterdir()):
            with suppress(OSError, Stopped):
                status = path.stat()
                if path.suffix == ".lock" or path.stem in keep or status.st_mtime > before:
                    continue
                with locked(path.with_name(f"{path.stem}.lock"), now):  # else somebody is at it
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        freed += getattr(status, "st_blocks", 0) * 512
                        path.unlink()
    return freed


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names)
