"""What lies in the model directory: for the log when init() fails, and as names for collected data."""

from __future__ import annotations

import logging
import os
from typing import Iterator, List

MAX_LINES = 200
INDENT = "    "

logger = logging.getLogger("azmlinfsrv.trace")


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


def model_ids(model_dir: str) -> List[str]:
    """The `name:version` of every model mounted at `model_dir`.

    A directory whose own name is a number is one version of the model its parent is named after; any other
    holds `name/version` directories. Warns and gives none when there is no such directory.
    """
    if not model_dir or not os.path.isdir(model_dir):
        logger.warning("Model directory is not set or does not exist: %s", model_dir)
        return []
    parent, version = os.path.split(os.path.abspath(model_dir))
    if version.isdigit():
        return [f"{os.path.basename(parent)}:{version}"]
    return [
        f"{name}:{version}"
        for name in _folders(model_dir)
        for version in sorted(_folders(os.path.join(model_dir, name)), key=_by_number)
        if version.isdigit()
    ]


def _folders(path: str) -> List[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def _by_number(version: str) -> int:
    return int(version) if version.isdigit() else -1
