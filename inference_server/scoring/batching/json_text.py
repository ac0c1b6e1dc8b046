"""Walking over JSON as text: where each member and element stands, while the values are left as they are.

Each function raises ValueError, IndexError or RecursionError where the text is no JSON there.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, List, Tuple

_space = re.compile(r"[ \t\n\r]*").match

value_at = json.JSONDecoder().raw_decode  # (text, at) -> (the value that begins at `at`, where it ends)


def members(text: str, at: int) -> Iterator[Tuple[str, Any, int, int]]:
    """(name, value, start, end) of each member of the object that begins at `at`; text[start:end] is its value.
    What follows the object is not looked at."""
    at, last = opened(text, at, "{}")
    while not last:
        name, start = name_at(text, at)
        value, end = value_at(text, start)
        yield name, value, start, end
        at, last = next_item(text, end, "}")


def elements(text: str, at: int) -> Tuple[List[Tuple[int, int]], int]:
    """From where to where each element of the list goes that begins at `at`, and where the list ends."""
    spans = []
    at, last = opened(text, at, "[]")
    while not last:
        _, end = value_at(text, at)
        spans.append((at, end))
        at, last = next_item(text, end, "]")
    return spans, at


def after_space(text: str, at: int) -> int:
    """The next place from `at` on that is no white space."""
    found = _space(text, at)
    return found.end() if found else at


def opened(text: str, at: int, brackets: str) -> Tuple[int, bool]:
    """Where the first item stands after the opening bracket at `at`; or, and True, where an empty pair ends."""
    if text[at] != brackets[0]:
        raise ValueError("no " + brackets)
    at = after_space(text, at + 1)
    return (at + 1, True) if text[at] == brackets[1] else (at, False)


def next_item(text: str, at: int, closing: str) -> Tuple[int, bool]:
    """Where the item after one that ends at `at` stands; or, and True, where all of it ends."""
    at = after_space(text, at)
    if text[at] == closing:
        return at + 1, True
    if text[at] != ",":
        raise ValueError("no comma")
    return after_space(text, at + 1), False


def name_at(text: str, at: int) -> Tuple[str, int]:
    """The name of the member that begins at `at`, and where its value begins."""
    if text[at] != '"':
        raise ValueError("no name")
    name, at = value_at(text, at)
    at = after_space(text, at)
    if text[at] != ":":
        raise ValueError("no colon")
    return name, after_space(text, at + 1)
