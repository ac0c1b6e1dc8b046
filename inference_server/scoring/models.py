"""What lies in the model directory: for the log when init() fails, and to tell one model from another."""

from __future__ import annotations

import contextlib
import os
from itertools import islice
from typing import Iterator, List

MAX_LINES = 200
MAX_FILES = 10000
INDENT = "    "


def directory_listing(model_dir: str) -> List[str]:
    """The lines that show a model directory as an indented tree; none when there is no such directory."""
    if not model_dir or not os.path.isdir(model_dir):
        return []
    lines = ["Model Directory Contents:"]
    for line in _tree(model_dir):
        if len(lines) > MAX_LINES:
            lines.append(f"... (only the first {MAX_LINES} lines are shown)")
            break
        lines.append(line)
    return lines


def _tree(top: str) -> Iterator[str]:
    """One line for each folder (its name ends with a slash) and each file below it."""
    root = os.path.normpath(top)
    for folder, folders, files in os.walk(root):
        folders.sort()
        depth = 0 if folder == root else os.path.relpath(folder, root).count(os.sep) + 1
        yield f"{INDENT * depth}{os.path.basename(folder)}/"
        for file in sorted(files):
            yield f"{INDENT * (depth + 1)}{file}"


def stamp(model_dir: str) -> str:
    """Changes with the model: a digest of its files' names, sizes and times. Empty when there is no such directory."""
    if not model_dir or not os.path.isdir(model_dir):
        return ""
    import hashlib  # only batching asks: the others need not pay for it

    found = hashlib.sha256()
    for path in islice(_files(model_dir), MAX_FILES):
        with contextlib.suppress(OSError):  # it has gone meanwhile
            status = os.stat(path)
            found.update(
                f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape")
            )
    return found.hexdigest()


def _files(top: str) -> Iterator[str]:
    for folder, folders, files in os.walk(top):
        folders.sort()
        for file in sorted(files):
            yield os.path.join(folder, file)
