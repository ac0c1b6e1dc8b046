"""What lies in the model directory, for the log when init() fails."""

from __future__ import annotations

import os
from typing import Iterator, List

MAX_LINES = 200
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
