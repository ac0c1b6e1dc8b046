"""Values as people read them: times, sizes, paths."""

from __future__ import annotations

import os

_FRAME = '  File "'
_LIBRARIES = ("site-packages", "dist-packages")


def milliseconds(value: float) -> str:
    """A time in three figures or so: `0.24 ms`, `12.5 ms`, `3.20 s`."""
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def megabytes(value: int) -> str:
    """Bytes, as `143 MB`, `0.4 MB`."""
    amount = value / 1e6
    return f"{amount:.0f} MB" if abs(amount) >= 10 else f"{amount:.1f} MB"


def path(value: str) -> str:
    """A path from the current folder where it lies below it, else in full."""
    try:
        short = os.path.relpath(value)
    except ValueError:  # another drive on Windows
        return value
    return value if short.startswith("..") else short


def short_traceback(text: str) -> list[str]:
    """A traceback in lines, with the frames of libraries only counted."""
    lines: list[str] = []
    hidden = 0
    inside = False  # a library's frame
    for line in text.splitlines():
        frame = line.startswith(_FRAME)
        if frame:
            inside = any(folder in line for folder in _LIBRARIES)
            hidden += inside
        elif not line.startswith("    "):
            inside = False
        if inside:
            continue
        if hidden and (frame or not line.startswith("    ")):
            lines.append(f"  … {hidden} frame{'s' * (hidden != 1)} in libraries (--full shows them)")
            hidden = 0
        lines.append(line)
    return lines
