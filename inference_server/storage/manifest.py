"""What a destination holds and where it came from: written down beside it when all of it is there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from inference_server import __version__
from inference_server.storage.checksum import sha256_of
from inference_server.storage.stamp import is_stamped
from inference_server.storage.store import Blob, Member

_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """The content of a destination. It names no secret.

    `plan`: a checksum of what was listed and how it was to be laid out; the same again is the same content. "": the
    source has nothing to tell that by.
    """

    source: str
    plan: str
    members: Sequence[Member]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(member.blob.size for member in self.members if member.blob)

    @property
    def files(self) -> int:
        """How many files there are, links not counted."""
        return sum(member.blob is not None for member in self.members)

    def write(self, path: Path) -> None:
        """Write it as JSON, in one step. Raises OSError."""
        value = {
            "format": _FORMAT,
            "made_by": f"azmlinfsrv {__version__}",
            "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "source": self.source,
            "plan": self.plan,
            "files": [_shown(member) for member in self.members],
        }
        made = path.with_name(path.name + ".new")
        made.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
        made.replace(path)

    def is_in(self, folder: Path, verify: bool) -> bool:
        """Whether the folder holds all of it, by size and time of change; `verify`: every byte is read."""
        try:
            return all(_is_there(folder / member.path, member, verify) for member in self.members)
        except OSError:
            return False


def read_manifest(path: Path) -> Manifest | None:
    """The manifest in a file; None when there is none, or one of another format."""
    try:
        value = json.loads(path.read_bytes())
        if value["format"] != _FORMAT:
            return None
        return Manifest(value["source"], value["plan"], [_member(item) for item in value["files"]])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _shown(member: Member) -> dict[str, object]:
    if member.blob is not None:
        return {"path": member.path, **asdict(member.blob)}
    return {"path": member.path, "link": member.target} if member.target else {"path": member.path}


def _member(item: dict[str, object]) -> Member:
    path = str(item["path"])
    if "sha256" not in item:
        return Member(path, target=str(item.get("link", "")))
    return Member(path, Blob(str(item["sha256"]), int(str(item["size"])), bool(item["executable"])))


def _is_there(path: Path, member: Member, verify: bool) -> bool:
    status = os.lstat(path)
    if member.target:
        return stat.S_ISLNK(status.st_mode) and os.readlink(path) == member.target
    if member.blob is None:
        return stat.S_ISDIR(status.st_mode)
    if not stat.S_ISREG(status.st_mode) or not is_stamped(status, member.blob.sha256, member.blob.size):
        return False
    return not verify or sha256_of(path) == member.blob.sha256
