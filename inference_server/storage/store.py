"""Files kept by their content, each once, however many deployments have them.

    blobs/ab/abcd…      a file, by its SHA-256; `.x` behind it when it is executable. Read-only, never changed
    index/12/12cd…      what was listed (source, path, validator, size) to the content it had
    trees/ab/abcd…      an archive, by its SHA-256, to the files that were in it
    parts/12cd….data    a download that is not complete
    unpack/abcd…/       an archive that is being unpacked

Everything appears by a rename, so whoever looks sees the whole of it or nothing. Processes share a store without
talking to each other: a lock is held on what is being made, and what is missing again is simply fetched again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inference_server.storage.checksum import sha256_of
from inference_server.storage.linking import link_or_copy
from inference_server.storage.stamp import is_stamped, stamp

BLOBS, INDEX, TREES, PARTS, UNPACK = "blobs", "index", "trees", "parts", "unpack"


@dataclass(frozen=True)
class Blob:
    """A content: what a file holds, and whether it may be run."""

    sha256: str
    size: int  # bytes
    executable: bool = False

    @property
    def name(self) -> str:
        """Of its file in the store."""
        return self.sha256 + (".x" if self.executable else "")


@dataclass(frozen=True)
class Member:
    """One thing in a tree of files: a file (`blob`), a symbolic link (`target`), or a folder (neither)."""

    path: str  # relative, '/' between its parts
    blob: Blob | None = None
    target: str = ""


class Evicted(Exception):
    """A blob that was here is not any more: another process needed the space."""


class Store:
    """A folder of files by content. Raises OSError where its disk does."""

    def __init__(self, root: Path, private: bool = False, verify: bool = False) -> None:
        """`private`: for one destination alone, whose files are moved out of it. `verify`: no file is taken from it
        unread."""
        self.root = root
        self.private = private
        self._verify = verify
        self._verified: set[str] = set()
        for name in (BLOBS, INDEX, TREES, PARTS, UNPACK):
            (root / name).mkdir(parents=True, exist_ok=True)

    def find(self, key: str) -> Blob | None:
        """The content that was listed as `key`; the blob itself may be gone."""
        found = _read(self._place(INDEX, key))
        return _blob(found) if found else None

    def has(self, blob: Blob) -> bool:
        """Whether the content is here, and looks as it was left. One that was written into is thrown away."""
        path = self.path(blob)
        try:
            sound = is_stamped(os.stat(path), blob.sha256, blob.size)
            if sound and self._verify and blob.name not in self._verified:
                sound = sha256_of(path) == blob.sha256
                self._verified.add(blob.name)
        except FileNotFoundError:
            return False
        if not sound:
            path.unlink(missing_ok=True)
        return sound

    def path(self, blob: Blob) -> Path:
        """Where the blob lies, if it does."""
        return self._place(BLOBS, blob.name)

    def adopt(self, file: Path, blob: Blob) -> None:
        """Take a file that has this content; it is moved."""
        if self.has(blob):
            file.unlink()
            return
        if sys.platform != "win32":  # there, a file that is read-only cannot be removed
            file.chmod(0o555 if blob.executable else 0o444)
        stamp(file, blob.sha256)
        place = self.path(blob)
        place.parent.mkdir(exist_ok=True)
        file.replace(place)

    def remember(self, key: str, blob: Blob, told: str) -> None:
        """What was listed as `key` has this content. `told`: where it came from, for people."""
        _write(self._place(INDEX, key), {**asdict(blob), "from": told})

    def tree(self, sha256: str) -> list[Member] | None:
        """The files that were in the archive with this checksum; None unless all of them are here."""
        found = _read(self._place(TREES, sha256))
        if found is None:
            return None
        members = [
            Member(item["path"], _blob(item["blob"]) if item["blob"] else None, item["target"])
            for item in found["members"]
        ]
        return members if all(member.blob is None or self.has(member.blob) for member in members) else None

    def keep_tree(self, sha256: str, members: list[Member]) -> None:
        """The archive with this checksum has these files, all of which are here."""
        _write(self._place(TREES, sha256), {"members": [asdict(member) for member in members]})

    def used(self, key: str, tree: str = "") -> None:
        """What was listed as `key`, and the archive's files if it is one, are in use: they stay longest."""
        for path in (self._place(INDEX, key), *([self._place(TREES, tree)] if tree else [])):
            with suppress(OSError):
                os.utime(path)

    def put(self, blob: Blob, target: Path, last: bool) -> None:
        """Have the content at `target`, which is not there yet: shared where the file system can, else copied.

        `last`: this place needs it no more after that. Raises Evicted.
        """
        source = self.path(blob)
        try:
            if self.private and last:
                os.rename(source, target)
            else:
                link_or_copy(source, target)
        except FileNotFoundError as error:
            raise Evicted from error

    def discard(self, blob: Blob) -> None:
        """Have it no more."""
        self.path(blob).unlink(missing_ok=True)

    def part(self, key: str) -> Path:
        """The place of a download, without its suffix."""
        return self.root / PARTS / key

    def partly(self, key: str) -> int:
        """Bytes of disk that a download takes already."""
        try:
            return getattr(os.stat(f"{self.part(key)}.data"), "st_blocks", 0) * 512
        except FileNotFoundError:
            return 0

    def unpacking(self, sha256: str) -> Path:
        """The folder to unpack an archive in."""
        return self.root / UNPACK / sha256

    def remove(self) -> None:
        """Remove the whole of it."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _place(self, kind: str, name: str) -> Path:
        return self.root / kind / name[:2] / name


def _blob(found: dict[str, Any]) -> Blob:
    return Blob(found["sha256"], found["size"], found["executable"])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}")
    made.write_bytes(json.dumps(value).encode())
    made.replace(path)
