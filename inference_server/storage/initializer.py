"""From sources to destinations: what a deployment needs is there whole, or the error says what lacks.

    bring("s3://models/iris.tar.gz", "/var/azureml-app/azureml-models/iris/1", open_source, Work(settings, cache))

One source at a time, its files in parallel. Every step can be killed and run again: what is listed is compared with the
manifest, what lacks is fetched into the store, archives are unpacked there, and the destination changes in one step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inference_server.storage.backoff import Backoff, wait_after
from inference_server.storage.destination import Destination
from inference_server.storage.errors import DestinationError, cannot_write
from inference_server.storage.eviction import evict
from inference_server.storage.fetching import Fetching, Work
from inference_server.storage.layout import is_model_folder
from inference_server.storage.linking import shares
from inference_server.storage.listing import Listing, list_files
from inference_server.storage.manifest import Manifest
from inference_server.storage.progress import in_bytes
from inference_server.storage.source import Changed, Cut, Source, SourceError
from inference_server.storage.sources.address import scheme
from inference_server.storage.sources.local import local_path
from inference_server.storage.space import require_space
from inference_server.storage.store import Evicted, Store

__all__ = ["Brought", "Work", "bring"]

_TIMES = 3  # how often a source that changes while it is read is listed


@dataclass(frozen=True)
class Brought:
    """A destination that is whole."""

    source: str  # without secrets
    folder: Path
    files: int
    size: int  # bytes of all files
    fetched: int  # bytes that came from the source
    seconds: float
    was_there: bool  # nothing had to be done


def bring(address: str, destination: str, open_source: Callable[[str], Source], work: Work) -> Brought:
    """Let the destination hold what the address names.

    A folder's content lies directly in the destination, but below the folder's name in a model folder of Azure's
    layout; a file lies in it under its own name; an archive's content lies directly in it.
    Raises SourceError, DestinationError, ContentError, Stopped: the destination is as it was before.
    """
    began = time.monotonic()
    source = open_source(address)
    try:
        to = Destination(destination)
        _refuse_into_itself(address, to.folder)
        waits = f"{to.folder} is being filled by another process: waiting for it"
        with to.held(work.stop, lambda: work.progress.say(waits)):
            return _Bringing(source, to, work, began).bring()
    except OSError as error:
        raise cannot_write(destination, error) from error
    finally:
        source.close()


def _refuse_into_itself(address: str, to: Path) -> None:
    """Raises DestinationError for a folder in its own source: it would hold itself, once more with every run."""
    if scheme(address) not in ("", "file"):
        return
    folder = Path(os.path.realpath(os.path.expanduser(local_path(address))))
    if to.is_relative_to(folder) and folder.is_dir():
        raise DestinationError(f"{to} lies in its own source {folder}: choose a folder outside it")


class _Bringing:
    """One source on its way to one destination, which is held."""

    def __init__(self, source: Source, to: Destination, work: Work, began: float) -> None:
        self.source = source
        self.to = to
        self.work = work
        self.began = began
        self.fetched = 0

    def bring(self) -> Brought:
        for left in reversed(range(_TIMES)):
            try:
                return self._try()
            except Changed as changed:
                if not left:
                    raise SourceError(
                        f"{changed} (again and again): run it when nobody writes there"
                    ) from changed
                self.work.progress.say(f"{changed}: beginning anew")
            except Evicted:
                if not left:
                    raise DestinationError(
                        f"the cache {self.work.cache} loses files while they are used: enlarge it (--cache_size)"
                    ) from None
        raise AssertionError("unreachable")

    def _try(self) -> Brought:
        listing = self._listing()
        there = self.to.manifest
        if there and listing.plan and there.plan == listing.plan:
            if there.is_in(self.to.folder, self.work.verifies):
                return self._brought(there, was_there=True)
            self.work.progress.say(f"{self.to.folder} was changed since it was filled: restoring it")
        self.to.refuse_foreign()
        store = self._store()
        if self._copies(store) and not listing.archive:
            require_space(self.to.beside, sum(file.entry.size or 0 for file in listing.files))
        fetching = Fetching(self.source, store, self.work)
        try:
            members = fetching.members(listing)
        finally:
            self.fetched += fetching.fetched
        manifest = Manifest(self.source.spoken, listing.plan, members)
        if self._copies(store):
            require_space(self.to.beside, manifest.size)
            self.work.progress.say(
                f"copying {in_bytes(manifest.size)} to {self.to.folder}, on another disk than the cache"
            )
        self.to.publish(store, manifest, self.work.stop)
        if store.private:
            store.remove()
        else:
            evict(store, self.work.settings.cache_size)
        return self._brought(manifest, was_there=False)

    def _listing(self) -> Listing:
        patience = Backoff(self.work.settings.retries)
        while True:
            try:
                return list_files(self.source, is_model_folder(str(self.to.folder)), self.work.unpacks)
            except Cut as cut:
                wait_after(cut, patience, self.work.progress.say, self.work.stop)

    def _store(self) -> Store:
        """The cache; where there is none, a store beside the destination that goes when that is whole."""
        cache = self.work.cache
        if cache is not None:
            try:
                store = Store(cache, verify=self.work.verifies)
                if os.access(cache, os.W_OK | os.X_OK):
                    return store
                why = "no right to write there"
            except OSError as error:
                why = error.strerror or str(error)
            self.work.progress.say(
                f"the cache {cache} cannot be used ({why}): going on without; --cache_dir names another"
            )
        return Store(self.to.store, private=True, verify=self.work.verifies)

    def _copies(self, store: Store) -> bool:
        """Whether what is in the store takes space once more in the destination."""
        return not store.private and not shares(store.root, self.to.beside)

    def _brought(self, manifest: Manifest, was_there: bool) -> Brought:
        seconds = time.monotonic() - self.began
        return Brought(
            manifest.source, self.to.folder, manifest.files, manifest.size, self.fetched, seconds, was_there
        )
