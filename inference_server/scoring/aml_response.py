"""`AMLResponse`, under the names scripts import it by (see compat.py)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple

from inference_server.scoring import coroutines
from inference_server.scoring.answer import HTML, JSON
from inference_server.scoring.encode import to_json
from inference_server.scoring.responses import FAILED_HEADER

__all__ = ["AMLResponse"]

if TYPE_CHECKING:
    _Response = Any
else:
    try:
        from flask import Response as _Response
    except ImportError:  # string and schema scripts may use it without flask
        from inference_server.scoring.responses import PlainResponse as _Response

# Values of these hold a date, which has a comma that separates nothing.
DATED = frozenset({"date", "expires", "last-modified", "retry-after", "sunset"})
_SPLIT_COOKIES = re.compile(r",(?!\s*\d\d[ -])")  # `Expires=Wed, 21 Oct` is no end of a cookie


class AMLResponse(_Response):  # type: ignore[misc]
    """An HTTP response of the script's own making.

    `message` is the body: str or bytes as they are, an iterator (also an async one) streamed item by item,
    None as `{}`; anything with `json_str=True` as JSON. A header value is split at its commas into one header
    each, except dates. Content-Type is text/html (application/json for JSON) unless `response_headers` names
    another. Raises AttributeError for a header value that is not text.
    """

    def __init__(
        self,
        message: Any,
        status_code: Any,
        response_headers: Optional[Dict[str, str]] = None,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        given = dict(response_headers or {})
        types = [given.pop(name) for name in list(given) if name.lower() == "content-type"]
        content_type = types[0] if types else HTML
        if json_str or message is None:
            message = to_json({} if message is None else message)
            content_type = JSON
        elif hasattr(message, "__aiter__"):
            message = coroutines.iterate(message.__aiter__())
        super().__init__(message, status=status_code, content_type=content_type)
        self.headers.add(FAILED_HEADER, str(bool(run_function_failed)))
        for name, value in _split(given):
            self.headers.add(name, value)


def _split(headers: Dict[str, str]) -> Iterator[Tuple[str, str]]:
    """One (name, value) for every part of every value."""
    for name, value in headers.items():
        for part in _parts(name.lower(), value):
            yield name, part.strip()


def _parts(name: str, value: str) -> List[str]:
    if name in DATED:
        return [value]
    if name == "set-cookie":
        return _SPLIT_COOKIES.split(value)
    return value.split(",")
