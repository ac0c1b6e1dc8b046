"""What the tests of the engine share: a run in this process or as the command, and what it may leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from inference_server.settings import StorageSettings
from inference_server.storage.initializer import Brought, Work, bring
from inference_server.storage.progress import Progress
from inference_server.storage.sources import open_source

PART = 64 * 1024  # the smallest there is


@dataclass
class Here:
    """A machine: a cache, a place for destinations, and what was said."""

    root: Path
    said: list[str] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def dest(self) -> Path:
        return self.root / "out" / "model"

    def work(
        self, cached: bool = True, unpacks: bool = True, verifies: bool = False, **settings: object
    ) -> Work:
        """A run's settings: small parts, three attempts."""
        given = {"part_size": PART, "retries": 3, "stall_timeout": 0.3, **settings}
        cache = self.cache if cached else None
        return Work(StorageSettings(**given), cache, Progress(self.said.append), Event(), unpacks, verifies)  # type: ignore[arg-type]

    def bring(self, address: str | Path, dest: Path | None = None, **work: object) -> Brought:
        """Bring it, in this process."""
        made = self.work(**work)  # type: ignore[arg-type]
        return bring(
            str(address), str(dest or self.dest), lambda it: open_source(it, {}, made.settings), made
        )


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, links followed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def blobs(here: Here) -> set[str]:
    """The names of the files in the cache."""
    return {path.name for path in (here.cache / "blobs").rglob("*") if path.is_file()}


def leftovers(here: Here) -> set[str]:
    """What a run left that is neither the destination, its manifest, nor finished files in the cache."""
    found = {path.relative_to(here.root).as_posix() for path in here.root.rglob("*") if path.is_file()}
    kept = (here.dest, here.cache / "blobs", here.cache / "index", here.cache / "trees")
    inside = tuple(f"{path.relative_to(here.root).as_posix()}/" for path in kept)
    manifest = (here.dest.parent / f".{here.dest.name}.azmlinfsrv" / "manifest.json").relative_to(here.root)
    return {path for path in found if not path.startswith(inside) and path != manifest.as_posix()}


def command(here: Here, *words: str | Path, **environ: str) -> subprocess.Popen[str]:
    """The command as a process, with the cache of `here` and small parts."""
    given = {
        "AZMLINFSRV_STORAGE_CACHE_DIR": str(here.cache),
        "AZMLINFSRV_STORAGE_PART_SIZE": str(PART),
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "inference_server", "storage-initializer", *map(str, words)],
        env={**os.environ, **given, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], seconds: float = 30) -> tuple[int, str, str]:
    """Its exit code, and what it wrote to standard output and standard error."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def until(true: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait for something that must happen."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"did not happen in {seconds} s: {what}"
        time.sleep(0.005)
