"""Nested values laid out in lines: what fits stays on one line, the rest is broken at its outermost brackets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Write = Callable[[Any], str]  # a value on one line


def as_json(value: Any) -> str:
    """A value as JSON, with letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Layout:
    """How values are written: `width` columns at most where that is possible."""

    width: int
    indent: str = "    "
    write: Write = as_json
    trailing_comma: bool = False

    def lines(self, value: Any, used: int = 0) -> list[str]:
        """The lines of `value`, whose first stands `used` columns from the edge."""
        return self._lines(value, "", self.width - used)

    def _lines(self, value: Any, before: str, width: int) -> list[str]:
        whole = before + self.write(value)
        if len(whole) <= width or not isinstance(value, (dict, list)) or not value:
            return [whole]
        inner = width - len(self.indent)
        if isinstance(value, dict):
            parts = [self._lines(item, f"{self.write(key)}: ", inner) for key, item in value.items()]
            opening, closing = "{", "}"
        else:
            parts = [self._lines(item, "", inner) for item in value]
            opening, closing = "[", "]"
        for number, part in enumerate(parts, 1):
            if self.trailing_comma or number < len(parts):
                part[-1] += ","
        return [before + opening, *(self.indent + line for part in parts for line in part), closing]
