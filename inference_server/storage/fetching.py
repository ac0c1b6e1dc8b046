"""What was listed becomes contents of the store: found there, or fetched, and archives unpacked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from inference_server.settings import StorageSettings
from inference_server.storage.archives import unpack
from inference_server.storage.download import Download
from inference_server.storage.errors import ContentError
from inference_server.storage.eviction import evict
from inference_server.storage.listing import Listing, Wanted, told
from inference_server.storage.locks import locked
from inference_server.storage.progress import Progress, in_bytes, in_seconds
from inference_server.storage.source import Source
from inference_server.storage.space import require_space
from inference_server.storage.store import Blob, Evicted, Member, Store


@dataclass(frozen=True)
class Work:
    """What all sources of a run have in common. `cache`: the folder of the store; None: nothing is kept."""

    settings: StorageSettings
    cache: Path | None
    progress: Progress = field(default_factory=Progress)
    stop: Event = field(default_factory=Event)
    unpacks: bool = True  # archives
    verifies: bool = False  # reads what is there instead of trusting sizes and times


@dataclass
class Fetching:
    """One source on its way into the store. Raises what Download does, and Evicted."""

    source: Source
    store: Store
    work: Work
    fetched: int = 0  # bytes that came from the source

    def members(self, listing: Listing) -> list[Member]:
        """What the destination shall hold; all of it is in the store then."""
        if listing.archive:
            return self._unpacked(listing.files[0], listing.archive)
        blobs = self._have(listing.files)
        return [Member(file.path, blobs[file.key]) for file in listing.files]

    def _unpacked(self, file: Wanted, kind: str) -> list[Member]:
        known = self._known(file)
        members = self.store.tree(known.sha256) if known else None
        if known is None or members is None:
            known = self._have([file], room=2)[file.key]
            folder = self.store.unpacking(known.sha256)
            with locked(folder.with_name(f"{folder.name}.lock"), self.work.stop):
                members = self.store.tree(known.sha256)  # another process may have been at it
                if members is None:
                    members = self._unpack(known, kind, folder, told(self.source, file.entry))
        self.store.used(file.key, known.sha256)
        return members

    def _unpack(self, archive: Blob, kind: str, folder: Path, where: str) -> list[Member]:
        began = time.monotonic()
        if not self.store.has(archive):
            raise Evicted
        progress = self.work.progress
        progress.begin(f"unpacking {where}", None)
        try:
            members = unpack(
                self.store.path(archive), kind, folder, self.work.settings, self.work.stop, progress.advance
            )
        except ContentError as error:
            self.store.discard(archive)
            raise ContentError(
                f"{where} was refused, and nothing of it kept: {error} (--no_unpack keeps the file as it is)"
            ) from error
        finally:
            progress.end()
        for member in members:
            if member.blob is not None:
                self.store.adopt(folder / member.path, member.blob)
        self.store.keep_tree(archive.sha256, members)
        self.store.discard(archive)  # what was in it is what is used
        shutil.rmtree(folder, ignore_errors=True)
        size = sum(member.blob.size for member in members if member.blob)
        progress.say(f"unpacked {where}: {in_bytes(size)} in {in_seconds(time.monotonic() - began)}")
        return members

    def _have(self, files: Sequence[Wanted], room: int = 1) -> dict[str, Blob]:
        """The contents of the files, by their keys. `room`: how many times their size is needed on the disk."""
        blobs: dict[str, Blob] = {}
        lacking: list[Wanted] = []
        for file in files:
            blob = self._known(file)
            if blob is not None and self.store.has(blob):
                blobs[file.key] = blob
                self.store.used(file.key)
            else:
                lacking.append(file)
        if lacking:
            blobs |= self._download(lacking, room)
        return blobs

    def _known(self, file: Wanted) -> Blob | None:
        """The content that the file has, when that is known before it is read."""
        if file.entry.sha256 and file.entry.size is not None:
            return Blob(file.entry.sha256.hex(), file.entry.size, file.entry.executable)
        return self.store.find(file.key)

    def _download(self, files: Sequence[Wanted], room: int) -> dict[str, Blob]:
        sizes = [file.entry.size for file in files]
        known = sum(size or 0 for size in sizes)
        here = sum(self.store.partly(file.key) for file in files)
        keep = {file.key for file in files}
        most = self.work.settings.cache_size
        require_space(
            self.store.root, known * room - here, lambda count: evict(self.store, most, count, keep)
        )
        progress = self.work.progress
        progress.begin(self.source.spoken, None if None in sizes else known)
        try:
            return Download(self.source, self.store, self.work.settings, progress, self.work.stop).run(files)
        finally:
            self.fetched += progress.fetched
            progress.end()
