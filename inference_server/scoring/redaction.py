"""Secret values that no log and no error shows: where one would stand, *** stands instead.

Until `hide` is called with a value nothing is changed and nothing is looked at. A value shorter than LEAST is not
hidden: it would be found in half of all words.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from typing import Any, Iterable, Iterator, Optional, Pattern, Set

VARIABLE = "AZMLINFSRV_HIDDEN"  # how a worker is told: a JSON list, taken away before the script runs
LEAST = 8  # characters
SHOWN = "***"

_forms: Set[str] = set()
_pattern: Optional[Pattern[str]] = None


def hide(values: Iterable[str]) -> None:
    """From now on `redacted` and every logging handler leave these values out, also as repr() and JSON write them."""
    global _pattern
    new = {form for value in values for form in _written(value) if len(form) >= LEAST} - _forms
    if not new:
        return
    if _pattern is None:
        _hide_in_logs()
    _forms.update(new)
    # the longest first: a value may begin with another
    _pattern = re.compile("|".join(map(re.escape, sorted(_forms, key=len, reverse=True))))


def redacted(text: str) -> str:
    """`text` without the hidden values."""
    return text if _pattern is None else _pattern.sub(SHOWN, text)


def redacted_bytes(data: bytes) -> bytes:
    """Text in UTF-8 without the hidden values; other bytes stay what they are."""
    if _pattern is None:
        return data
    text = data.decode("utf-8", "surrogateescape")
    return _pattern.sub(SHOWN, text).encode("utf-8", "surrogateescape")


def start() -> None:
    """In a worker, before anything of the script runs: hide what the front has named."""
    values = json.loads(os.environ.pop(VARIABLE, "[]"))
    if values:
        hide(values)
        sys.stdout, sys.stderr = _hiding(sys.stdout), _hiding(sys.stderr)


def _written(value: str) -> Iterator[str]:
    """The value as it may be met: itself, quoted in a URL, by repr() as in an exception's text, by JSON, or by both."""
    from urllib.parse import quote

    yield quote(value, safe="")
    for form in (value, value.strip(), repr(value)[1:-1]):
        yield form
        yield json.dumps(form)[1:-1]
        yield json.dumps(form, ensure_ascii=False)[1:-1]


def _hide_in_logs() -> None:
    """Whatever handlers and formatters a logging.json names: the line they make is cleaned before it is written."""
    original = logging.Handler.format

    def format(self: logging.Handler, record: logging.LogRecord) -> str:
        return redacted(original(self, record))

    logging.Handler.format = format  # type: ignore[method-assign]


class _Hiding(io.TextIOWrapper):
    """A standard stream of the script."""

    def write(self, text: str) -> int:
        super().write(redacted(text))
        return len(text)


def _hiding(stream: Any) -> Any:
    """A stream of its own on the same buffer; None, for a stream that was closed, stays None."""
    if stream is None:
        return None
    return _Hiding(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
