"""Archives are unpacked whole or refused whole: nothing outside the folder, no links out, no devices, no bombs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import IO

from inference_server.settings import StorageSettings
from inference_server.storage.checksum import PIECE
from inference_server.storage.errors import ContentError, Stopped, cannot_write
from inference_server.storage.store import Blob, Member

ENDINGS = {
    ".tar": "tar",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.zst": "tar.zst",
    ".tzst": "tar.zst",
    ".zip": "zip",
}
MOST_MEMBERS = 1_000_000
UNSUSPECTED = 64 * 1024**2  # bytes that any archive may unpack to
_DRIVE = re.compile(r"[A-Za-z]:")


def archive_kind(name: str) -> str:
    """`tar`, `tar.gz`, `tar.zst` or `zip`, by the ending of the name; "" for other files."""
    return next((kind for ending, kind in ENDINGS.items() if name.lower().endswith(ending)), "")


def unpack(
    archive: Path,
    kind: str,
    into: Path,
    settings: StorageSettings,
    stop: Event,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Member]:
    """Unpack an archive into a folder that is not there yet; returns what is in it then.

    `advance` is told of bytes as they are written.

    Raises ContentError, DestinationError or Stopped; the folder is gone then.
    """
    shutil.rmtree(into, ignore_errors=True)  # of a run that was killed
    try:
        into.mkdir()
        tree = Tree(Path(os.path.realpath(into)), Budget(settings, archive.stat().st_size), stop, advance)
        with _in_words(kind):
            if kind == "zip":
                from inference_server.storage.unzip import members
            else:
                from inference_server.storage.untar import members
            members(archive, kind, tree)
            tree.check_links()
        if not tree.members:
            raise ContentError("it is empty")
        return list(tree.members.values())
    except OSError as error:
        shutil.rmtree(into, ignore_errors=True)
        raise cannot_write(into, error) from error
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise


@contextmanager
def _in_words(kind: str) -> Iterator[None]:
    """Whatever the libraries raise for bytes that are no archive of theirs."""
    import gzip
    import tarfile
    import zipfile
    import zlib

    damaged = (
        tarfile.TarError,
        gzip.BadGzipFile,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,  # zipfile: a way of packing that it does not know
    )
    try:
        yield
    except damaged as error:
        raise ContentError(
            f"it is no {kind} archive, or a damaged one ({str(error) or 'it ends early'})"
        ) from error
    except (ValueError, RuntimeError) as error:  # numbers in headers; a password
        raise ContentError(f"it cannot be unpacked: {error}") from error


@dataclass
class Budget:
    """What an archive may still unpack to."""

    settings: StorageSettings
    packed: int  # bytes of the archive
    _bytes: int = 0
    _members: int = 0

    def take(self, count: int) -> None:
        """So many bytes more. Raises ContentError when that is too much."""
        self._bytes += count
        if self._bytes > self.settings.max_unpacked_size:
            raise ContentError(
                f"it unpacks to more than {self.settings.max_unpacked_size} bytes: "
                "raise --max_unpacked_size if it may"
            )
        if self._bytes > max(UNSUSPECTED, self.settings.max_unpack_ratio * self.packed):
            raise ContentError(
                f"it unpacks to more than {self.settings.max_unpack_ratio:g} times its size: "
                "raise --max_unpack_ratio if it may"
            )

    def member(self) -> None:
        """One thing more is in it."""
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise ContentError(f"it holds more than {MOST_MEMBERS:,} files")


@dataclass
class Tree:
    """The folder an archive is unpacked in. `root` holds no links in its own path."""

    root: Path
    budget: Budget
    stop: Event
    advance: Callable[[int], None]
    members: dict[str, Member] = field(
        default_factory=dict
    )  # by path; folders that the archive does not name are left out

    def file(self, name: str, data: IO[bytes], size: int, executable: bool) -> None:
        """A file: all of `data`, which must have `size` bytes."""
        path, place = self._new(name)
        digest, left = hashlib.sha256(), size
        with open(place, "xb") as file:
            while piece := data.read(min(PIECE, left + 1)):
                left -= len(piece)
                if left < 0:
                    break
                if self.stop.is_set():
                    raise Stopped("stopped")
                digest.update(piece)
                file.write(piece)
                self.advance(len(piece))
        if left:
            raise ContentError(f"it is damaged: {name!r} has not the {size} bytes that it should have")
        self.members[path] = Member(path, Blob(digest.hexdigest(), size, executable))

    def folder(self, name: str) -> None:
        """A folder, which may be there."""
        self.budget.member()
        path = safe_path(name)
        if path:
            self._beside(path, name)
            (self.root / path).mkdir(exist_ok=True)
            self.members.setdefault(path, Member(path))

    def link(self, name: str, target: str) -> None:
        """A symbolic link to something in the archive."""
        path, place = self._new(name)
        inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if _is_absolute(target) or inside == ".." or inside.startswith("../"):
            raise ContentError(f"{name!r} is a link to {target!r}, outside the archive")
        place.symlink_to(target)
        self.members[path] = Member(path, target=target)

    def same_file(self, name: str, other: str) -> None:
        """A hard link to a file that came before."""
        path, place = self._new(name)
        there = self.members.get(safe_path(other))
        if there is None or there.blob is None:
            raise ContentError(f"{name!r} is a link to {other!r}, which is no file before it in the archive")
        shutil.copyfile(self.root / there.path, place)
        self.members[path] = Member(path, there.blob)

    def check_links(self) -> None:
        """Every link ends inside, whatever other links it passes."""
        for member in self.members.values():
            if member.target:
                end = os.path.realpath(self.root / member.path)
                if end != str(self.root) and not end.startswith(str(self.root) + os.sep):
                    raise ContentError(f"{member.path!r} is a link to {member.target!r}, outside the archive")

    def _new(self, name: str) -> tuple[str, Path]:
        """The safe path of a new thing, and its place, whose folder is there."""
        if self.stop.is_set():
            raise Stopped("stopped")
        self.budget.member()
        path = safe_path(name)
        if not path or path in self.members:
            raise ContentError(f"{name!r} is in it twice" if path else f"it has a file of no name ({name!r})")
        self._beside(path, name)
        return path, self.root / path

    def _beside(self, path: str, name: str) -> None:
        """Make the folder that `path` lies in. Refused where a link or a file is in its way."""
        folder = os.path.dirname(path)
        place = self.root / folder
        if os.path.realpath(place) != str(place):
            raise ContentError(f"{name!r} lies behind a link")
        try:
            place.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ContentError(f"{name!r} lies in something that is no folder") from None


def safe_path(name: str) -> str:
    """The name of a member as a path that stays inside, '/' between its parts. Raises ContentError."""
    if _is_absolute(name):
        raise ContentError(f"{name!r} is an absolute path")
    if "\\" in name or "\0" in name or (sys.platform == "win32" and ":" in name):
        raise ContentError(f"{name!r} has a character that is not allowed")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ContentError(f"{name!r} leads out of the archive")
    return "/".join(parts)


def _is_absolute(name: str) -> bool:
    return name.startswith(("/", "\\")) or bool(_DRIVE.match(name))
