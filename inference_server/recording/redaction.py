"""What a recorded request must not hold: secrets in headers and queries, and what the operator has named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import orjson

from inference_server.fields import ANY, Fields, TooDeep

MARK = "[redacted]"
NOT_READABLE = "it is no JSON, and fields of it are to be redacted"
_TOO_SHORT = 4  # a removed value of fewer characters is not looked for elsewhere: it is in half of all words
# Headers and query parameters of which no value is kept, whoever runs the server.
_SECRET = re.compile(
    r"authorization|cookie|secret|passw|credential|signature|session|csrf|xsrf|jwt|token(?!s)"
    r"|(?:api|access|account|subscription|functions|service|private|shared)[-_]?key"
    r"|client-cert|client-principal|^(?:sig|key|code|auth|pwd|x-auth)$"
)


@dataclass
class Removed:
    """What was taken out of one request: by which names, and the values, which its error may repeat."""

    names: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def note(self, name: str, value: Any) -> None:
        if name not in self.names:
            self.names.append(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            text = str(value)
            if len(text) >= _TOO_SHORT:
                self.values.append(text)

    def scrubbed(self, text: str) -> str:
        """`text` without the values that were taken out elsewhere."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, MARK)
        return text


class Unreadable(ValueError):
    """A body in which fields cannot be found: it is left out. The text says why."""


class Redaction:
    """`named`: what is to be taken out beside the usual secrets. A bare name is a header, a query parameter and a
    field at any depth."""

    def __init__(self, named: Fields) -> None:
        self.fields = named
        # Somebody who names x-api-key or cookie means a header: that is no reason to leave bodies out.
        bare = [name for name in named.names if "-" not in name and not _SECRET.fullmatch(name)]
        self.searches_bodies = bool(named.paths or bare)
        last = [[step for step in path if isinstance(step, str) and step != ANY][-1:] for path in named.paths]
        found = [*named.names, *("".join(name) for name in last)]
        # A body may spell a letter that is not ASCII as it likes: then every body may hold it.
        self._sought = [name.encode() if name.isascii() else b"" for name in found]

    def secret(self, name: str) -> bool:
        """Whether the value of a header or of a query parameter of that name is kept by nobody."""
        lowered = name.lower()
        return lowered in self.fields.names or _SECRET.search(lowered) is not None

    def headers(self, pairs: Iterable[tuple[str, str]], removed: Removed) -> list[tuple[str, str]]:
        """The headers, secrets marked."""
        kept = []
        for name, value in pairs:
            if self.secret(name):
                removed.note(name.lower(), value)
                value = MARK
            kept.append((name, value))
        return kept

    def target(self, target: str, removed: Removed) -> str:
        """Path and query, secrets of the query marked."""
        path, mark, query = target.partition("?")
        parts = []
        for part in query.split("&"):
            name, equals, value = part.partition("=")
            if equals and self.secret(unquote_plus(name)):
                removed.note(f"?{name}", unquote_plus(value))
                part = f"{name}={MARK}"
            parts.append(part)
        return path + mark + "&".join(parts)

    def body(self, data: bytes, removed: Removed, name: str = "body") -> bytes:
        """The body, its named fields marked; unchanged where there are none. Raises Unreadable."""
        if not self.fields or not data:
            return data
        try:
            value, is_utf8 = _loaded(data)
            if is_utf8 and not self._may_hold(data):
                return data
            changed = self.fields.changed(value, lambda old: _marked(old, removed, name))
        except (ValueError, RecursionError) as error:
            if not self.searches_bodies:
                return data
            raise Unreadable(str(error) if isinstance(error, TooDeep) else NOT_READABLE) from None
        return data if changed == value else json.dumps(changed).encode()

    def _may_hold(self, data: bytes) -> bool:
        """Whether a body of JSON can have one of the fields: to look for their names takes a fraction of a walk."""
        lowered = data.lower()
        return b"\\" in data or any(name in lowered for name in self._sought)

    def same(self, value: Any) -> Any:
        """A JSON value with the same fields marked: to be compared with a recorded one."""
        return self.fields.changed(value, lambda old: MARK)


def _loaded(data: bytes) -> tuple[Any, bool]:
    """The JSON in `data`, and whether its text is plain UTF-8. Raises ValueError."""
    try:
        return orjson.loads(data), True
    except ValueError:
        return json.loads(data), False  # it knows NaN, UTF-16 and numbers of any length


def _marked(value: Any, removed: Removed, name: str) -> str:
    for leaf in _leaves(value):
        removed.note(name, leaf)
    return MARK


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return [value]
    return [leaf for item in value for leaf in _leaves(item)]
