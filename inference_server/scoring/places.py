"""Where in the user's own code an exception was raised."""

from __future__ import annotations

import linecache
import os
import traceback
from types import TracebackType
from typing import NamedTuple, Optional

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDLIB = os.path.dirname(os.__file__) + os.sep


class Place(NamedTuple):
    """One line of code."""

    file: str
    line: int
    function: str  # "": the file could not be compiled
    source: str  # the line's text, without its indent; "" where the file cannot be read

    def __str__(self) -> str:
        within = f", in {self.function}" if self.function else ""
        return f"{self.file}, line {self.line}{within}"


def place_of(exc: BaseException, script_file: str) -> Optional[Place]:
    """The innermost frame in `script_file`, else in a file that is no library's, else in any but ours."""
    if isinstance(exc, SyntaxError) and exc.filename:
        line = exc.lineno or 0
        return Place(exc.filename, line, "", (exc.text or linecache.getline(exc.filename, line)).strip())
    best, best_rank = None, 0
    for frame, line in traceback.walk_tb(exc.__traceback__):
        rank = _rank(frame.f_code.co_filename, script_file)
        if rank and rank >= best_rank:
            best, best_rank = (frame, line), rank
    if best is None:
        return None
    frame, line = best
    file = frame.f_code.co_filename
    return Place(file, line, frame.f_code.co_name, linecache.getline(file, line, frame.f_globals).strip())


def from_user_code(tb: Optional[TracebackType]) -> Optional[TracebackType]:
    """The traceback from its first frame that is neither ours nor Python's import machinery."""
    start = tb
    while start is not None and _machinery(start.tb_frame.f_code.co_filename):
        start = start.tb_next
    return start


def _rank(file: str, script_file: str) -> int:
    return 0 if _machinery(file) else 3 if file == script_file else 1 if _library(file) else 2


def _machinery(file: str) -> bool:
    return file.startswith((_HERE, "<frozen importlib"))


def _library(file: str) -> bool:
    return file.startswith((_STDLIB, "<")) or "site-packages" in file or "dist-packages" in file
