"""What the commands write to a terminal: colours where they are wanted, and nothing but text everywhere else."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

from inference_server.scoring.logs import escape_controls

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_LEAST_WIDTH, _MOST_WIDTH = 40, 110


class Terminal:
    """One output stream. Colours are used on a terminal only, unless NO_COLOR is set or TERM is dumb.

    FORCE_COLOR (set to anything but 0) uses them everywhere, for continuous integration that shows them.
    """

    def __init__(self, stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        environ = os.environ if environ is None else environ
        self.coloured = _wants_colours(self._stream, environ)
        self.redraws = self._stream.isatty() and environ.get("TERM") != "dumb"  # a line can be written over
        if self.coloured and sys.platform == "win32":
            os.system("")  # makes the console read escape sequences

    def say(self, text: str = "") -> None:
        """One line, or several."""
        try:
            print(text, file=self._stream, flush=True)
        except UnicodeEncodeError:  # a console with an old code page
            encoding = self._stream.encoding or "ascii"
            safe = text.encode(encoding, "replace").decode(encoding)
            print(safe, file=self._stream, flush=True)

    def paint(self, text: str, *styles: str) -> str:
        """`text` in the named styles: bold, dim, red, green, yellow, cyan. Control characters in it are escaped."""
        text = escape_controls(text)
        if not self.coloured or not styles:
            return text
        codes = ";".join(_CODES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    @property
    def width(self) -> int:
        """Columns to write in."""
        return max(_LEAST_WIDTH, min(_MOST_WIDTH, shutil.get_terminal_size().columns))


def _wants_colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") != "0":
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"
