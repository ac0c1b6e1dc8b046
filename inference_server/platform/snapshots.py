"""A file or folder as it was at one instant: taken in whole beside its place, then put there by a rename.

What is equal is kept once: every file is a link to the content in the storage initializer's cache, where that lies on the
same disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from inference_server.platform.home import Home
from inference_server.settings import Settings
from inference_server.settings.storage import cache_folder
from inference_server.storage.destination import Destination
from inference_server.storage.errors import ContentError, Stopped, cannot_write
from inference_server.storage.initializer import Work, bring
from inference_server.storage.locks import locked
from inference_server.storage.manifest import Manifest
from inference_server.storage.progress import Progress
from inference_server.storage.source import Source
from inference_server.storage.sources import open_source


@dataclass(frozen=True)
class Taking:
    """How things are taken in: the settings of storage, who is told, what stops it."""

    settings: Settings
    progress: Progress = field(default_factory=Progress)
    stop: Event = field(default_factory=Event)

    def take(self, address: str, folder: Path) -> Manifest:
        """Have in a new folder what the address names; archives stay as they are. Returns what it holds. Raises what
        `bring` does."""
        storage, environ = self.settings.storage, self.settings.environment

        def opened(address: str) -> Source:
            return open_source(address, environ, storage)

        cache = Path(cache_folder(storage, environ)) if storage.cache_size else None
        bring(address, str(folder), opened, Work(storage, cache, self.progress, self.stop, unpacks=False))
        manifest = Destination(str(folder)).manifest
        if manifest is None:
            raise ContentError(f"{folder} was changed while it was filled: try again")
        return manifest


def digest(manifest: Manifest | None, more: object) -> str:
    """A checksum of contents and of `more`: equal for what is equal, wherever it came from."""
    members = manifest.members if manifest else ()
    listed = sorted([item.path, item.blob.name if item.blob else "", item.target] for item in members)
    return hashlib.sha256(json.dumps([listed, more], sort_keys=True).encode()).hexdigest()


def is_whole(folder: Path) -> bool:
    """Whether a snapshot still is what was taken, by sizes and times of change."""
    manifest = Destination(str(folder)).manifest
    return manifest is not None and manifest.is_in(folder, verify=False)


@contextmanager
def incoming(home: Home) -> Iterator[Path]:
    """A new folder to take things in; gone afterwards, and so are those of processes that were killed.

    Raises DestinationError where the disk does not allow it.
    """
    folder = home.incoming / uuid.uuid4().hex
    try:
        home.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(home.incoming)
        with locked(home.incoming / f"{folder.name}.lock", Event()):
            try:
                folder.mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise cannot_write(home.folder, error) from error


def _sweep(folder: Path) -> None:
    at_once = Event()
    at_once.set()
    for name in {path.stem for path in folder.iterdir()}:
        with suppress(Stopped, OSError), locked(folder / f"{name}.lock", at_once):
            shutil.rmtree(folder / name, ignore_errors=True)


def put_in_place(taken: Path, place: Path) -> None:
    """Move a snapshot to where it belongs, with the list of what it holds. What lies there is no asset: a process that was
    killed left it. Raises OSError."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = Destination(str(place)).beside
    for left in (place, beside):
        if os.path.lexists(left):
            shutil.rmtree(left)
    os.rename(Destination(str(taken)).beside, beside)
    os.rename(taken, place)


def take_text(taking: Taking, name: str, value: Mapping[str, object], folder: Path) -> Manifest:
    """The same for a file that is written from `value` first: JSON, which YAML reads."""
    file = folder.parent / name
    file.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
    return taking.take(str(file), folder)
