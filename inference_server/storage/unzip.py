"""zip archives."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from inference_server.storage.archives import Tree
from inference_server.storage.errors import ContentError

_ENCRYPTED = 0x1
_LONGEST_TARGET = 4096  # bytes of a symbolic link


def members(archive: Path, kind: str, tree: Tree) -> None:
    """Put everything in the archive into the tree. Raises ContentError, zipfile.BadZipFile and others of its kind."""
    with zipfile.ZipFile(archive) as packed:
        infos = packed.infolist()
        tree.budget.take(
            sum(info.file_size for info in infos)
        )  # what it says; more than that is refused below
        for info in infos:
            _put(packed, info, tree)


def _put(packed: zipfile.ZipFile, info: zipfile.ZipInfo, tree: Tree) -> None:
    mode = info.external_attr >> 16  # as Unix has it; 0: the archive was made elsewhere
    kind = stat.S_IFMT(mode)
    if info.flag_bits & _ENCRYPTED:
        raise ContentError("it is encrypted: upload it without a password")
    if info.is_dir():
        tree.folder(info.filename)
    elif kind == stat.S_IFLNK:
        if info.file_size > _LONGEST_TARGET:
            raise ContentError(f"{info.filename!r} is a link to a name of {info.file_size} bytes")
        tree.link(info.filename, packed.read(info).decode())
    elif kind in (0, stat.S_IFREG):
        with packed.open(info) as data:
            tree.file(info.filename, data, info.file_size, bool(mode & 0o100))
    else:
        raise ContentError(
            f"{info.filename!r} is a device or another thing that is neither file, folder nor link"
        )
