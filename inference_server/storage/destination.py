"""The folder that a source is brought to: it changes in one step, from what it was to all of what it shall be.

Beside a destination `model` lies `.model.azmlinfsrv/`, with the manifest, and while a run is on with its lock and the
stage, where the new content is laid out before it is renamed into place. A run that was killed at any instant leaves
the old content, or the new; the next one clears up after it. Where the destination itself cannot be renamed (a mount,
a folder in one that may not be written), that folder is `.azmlinfsrv/` inside it, and what lies in the destination is
renamed piece by piece.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from inference_server.storage.errors import DestinationError, Stopped
from inference_server.storage.exchange import exchange
from inference_server.storage.locks import locked
from inference_server.storage.manifest import Manifest, read_manifest
from inference_server.storage.store import Store

_MARK = "azmlinfsrv"
_NOT_OURS_BUT_FINE = {"__pycache__", "lost+found"}  # what Python and the file system put there
_TRIES = 100  # at a lock whose folder others remove as they end


class Destination:
    """One folder. Raises DestinationError for what cannot be one; OSError where its disk does."""

    def __init__(self, path: str) -> None:
        self.folder = Path(os.path.realpath(os.path.expanduser(path)))
        if self.folder.exists() and not self.folder.is_dir():
            raise DestinationError(f"{self.folder} is a file: a destination is a folder")
        self.in_place = self.folder.exists() and _stays(self.folder)
        parent, name = self.folder.parent, self.folder.name
        self.beside = self.folder / f".{_MARK}" if self.in_place else parent / f".{name}.{_MARK}"
        self._manifest = self.beside / "manifest.json"
        self._next = self.beside / "next.json"
        self._stage = self.beside / "stage"
        self._old = self.beside / "old"

    @contextmanager
    def held(self, stop: Event, wait: Callable[[], None]) -> Iterator[None]:
        """Nobody else changes the destination meanwhile; what a killed run left is cleared up."""
        for attempt in range(_TRIES):
            self.beside.mkdir(parents=True, exist_ok=True)
            lock = locked(self.beside / "lock", stop, wait)
            try:
                lock.__enter__()
                break
            except FileNotFoundError:
                if attempt == _TRIES - 1:
                    raise
        try:
            self._recover()
            yield
        finally:
            lock.__exit__(None, None, None)
            with suppress(OSError):  # it stays unless nothing is in it
                self.beside.rmdir()

    @property
    def manifest(self) -> Manifest | None:
        """What the last run brought here."""
        return read_manifest(self._manifest)

    @property
    def store(self) -> Path:
        """Where downloads are kept when there is no cache."""
        return self.beside / "store"

    def refuse_foreign(self) -> None:
        """Raises DestinationError when there is anything that no run of ours brought: it would be lost."""
        known = {"", *self._known()}
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in _NOT_OURS_BUT_FINE]
            if Path(folder) == self.folder and self.in_place and self.beside.name in folders:
                folders.remove(self.beside.name)
            for name in names:
                path = Path(folder, name).relative_to(self.folder).as_posix()
                if path not in known:
                    raise DestinationError(
                        f"{self.folder} holds {path}, which was not brought by this command and would be lost: "
                        "move it away, or choose an empty folder"
                    )

    def publish(self, store: Store, manifest: Manifest, stop: Event) -> None:
        """Let the folder hold what the manifest says, all of which is in the store.

        Raises Evicted when the store lost some of it meanwhile; Stopped.
        """
        shutil.rmtree(self._stage, ignore_errors=True)
        self._lay_out(store, manifest, stop)
        if self.folder.exists():
            shutil.copymode(self.folder, self._stage)
        known = self._known()
        manifest.write(self._next)
        if self.in_place:
            self._replace_pieces({path.partition("/")[0] for path in known | _paths(manifest)})
        elif not self.folder.exists():
            os.rename(self._stage, self.folder)
        elif not exchange(self._stage, self.folder):
            os.rename(self.folder, self._old)
            os.rename(self._stage, self.folder)
        os.replace(self._next, self._manifest)
        self._clear()

    def _lay_out(self, store: Store, manifest: Manifest, stop: Event) -> None:
        self._stage.mkdir()
        uses = Counter(member.blob for member in manifest.members if member.blob)
        for member in manifest.members:
            if stop.is_set():
                raise Stopped("stopped")
            place = self._stage / member.path
            place.parent.mkdir(parents=True, exist_ok=True)
            if member.blob is not None:
                uses[member.blob] -= 1
                store.put(member.blob, place, last=not uses[member.blob])
            elif member.target:
                place.symlink_to(member.target)
            else:
                place.mkdir(exist_ok=True)

    def _replace_pieces(self, names: set[str]) -> None:
        self._old.mkdir()
        for name in names:
            if os.path.lexists(self.folder / name):
                os.rename(self.folder / name, self._old / name)
        for name in os.listdir(self._stage):
            os.rename(self._stage / name, self.folder / name)

    def _recover(self) -> None:
        """Clear up after a run that was killed."""
        if not self.folder.exists() and self._old.exists():  # between its two renames
            os.rename(self._old, self.folder)
        brought = read_manifest(self._next)
        if brought is not None and brought.is_in(self.folder, verify=False):  # all but its last step was done
            os.replace(self._next, self._manifest)
        elif not self.in_place:
            self._next.unlink(missing_ok=True)
        self._clear()

    def _known(self) -> set[str]:
        """The paths that runs of ours brought here."""
        manifests = (self.manifest, read_manifest(self._next))
        return {path for manifest in manifests if manifest for path in _paths(manifest)}

    def _clear(self) -> None:
        for path in (self._stage, self._old):
            shutil.rmtree(path, ignore_errors=True)


def _paths(manifest: Manifest) -> set[str]:
    return {member.path for member in manifest.members}


def _stays(folder: Path) -> bool:
    """Whether a folder cannot be renamed, or should not be since a shell may stand in it."""
    if os.path.ismount(folder) or os.path.samefile(folder, os.getcwd()):
        return True
    return not os.access(folder.parent, os.W_OK | os.X_OK)
