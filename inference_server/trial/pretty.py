"""Values as people read them: JSON that fits the line, times, sizes, paths."""

from __future__ import annotations

import json
import os
from typing import Any

_INDENT = "  "


def json_lines(value: Any, width: int) -> list[str]:
    """A JSON value in lines: whatever fits in `width` columns stays on one."""
    return _lines(value, width, "", "")


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


def _lines(value: Any, width: int, indent: str, before: str) -> list[str]:
    """`before` is what stands on the first line already, such as a key."""
    whole = indent + before + json.dumps(value, ensure_ascii=False)
    if len(whole) < width or not isinstance(value, (dict, list)) or not value:
        return [whole]
    inner = indent + _INDENT
    if isinstance(value, dict):
        parts = [_lines(item, width, inner, json.dumps(key) + ": ") for key, item in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [_lines(item, width, inner, "") for item in value]
        opening, closing = "[", "]"
    lines = [indent + before + opening]
    for part in parts[:-1]:
        lines += [*part[:-1], part[-1] + ","]
    return [*lines, *parts[-1], indent + closing]
