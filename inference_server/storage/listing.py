"""What a source holds, and where each file of it shall lie."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from inference_server.storage.archives import archive_kind, safe_path
from inference_server.storage.errors import ContentError
from inference_server.storage.source import Entry, Source


@dataclass(frozen=True)
class Wanted:
    """A file to fetch. `key`: what it was listed as; the same again is the same content."""

    entry: Entry
    key: str
    lasting: bool  # whether the key will mean the same in another run
    path: str  # in the destination


@dataclass(frozen=True)
class Listing:
    """The files of a source.

    `archive`: the kind of archive that the only file is and shall be unpacked as, else "". `plan`: a checksum of what
    was listed and how it is to be laid out; "" when a file could be another tomorrow and nothing would tell.
    """

    files: Sequence[Wanted]
    archive: str
    plan: str


def told(source: Source, entry: Entry) -> str:
    """The address of one file, for people."""
    return f"{source.spoken.rstrip('/')}/{entry.path}" if source.is_folder else source.spoken


def list_files(source: Source, keeps_name: bool, unpacks: bool) -> Listing:
    """Ask the source what there is. `keeps_name`: a folder's files lie below its name.

    Raises what Source.entries() does, and ContentError for names that cannot be files here.
    """
    entries = source.entries()
    prefix = f"{source.name}/" if keeps_name and source.is_folder and source.name else ""
    files = [_wanted(source, entry, prefix) for entry in entries]
    _refuse_overlaps(source.spoken, [file.path for file in files])
    alone = len(files) == 1 and not source.is_folder and unpacks
    archive = archive_kind(files[0].path) if alone else ""
    return Listing(files, archive, _plan(files, archive))


def _wanted(source: Source, entry: Entry, prefix: str) -> Wanted:
    validators = [entry.etag, entry.sha256.hex(), entry.md5.hex()]
    lasting = any(validators)
    listed = [
        source.spoken,
        entry.path,
        entry.size,
        entry.executable,
        validators if lasting else os.urandom(16).hex(),
    ]
    key = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    try:
        safe = safe_path(entry.path)
    except ContentError:
        safe = ""
    if not safe or safe != entry.path:
        raise ContentError(
            f"{source.spoken} has a file named {entry.path!r}, which is no path here: rename it"
        )
    return Wanted(entry, key, lasting, prefix + safe)


def _plan(files: Sequence[Wanted], archive: str) -> str:
    if not all(file.lasting for file in files):
        return ""
    return hashlib.sha256(
        json.dumps([archive, [(file.path, file.key) for file in files]]).encode()
    ).hexdigest()


def _refuse_overlaps(where: str, paths: Sequence[str]) -> None:
    """An object store may hold both `a` and `a/b`; a folder cannot."""
    known = set(paths)
    if len(known) < len(paths):
        raise ContentError(f"{where} lists a file twice")
    checked: set[str] = set()
    for path in paths:
        above = os.path.dirname(path)
        while above and above not in checked:
            if above in known:
                raise ContentError(
                    f"{where} has a file {above!r} and others below that name: rename one of them"
                )
            checked.add(above)
            above = os.path.dirname(above)
