"""Fields of JSON, named by a bare name (at any depth) or by a path from the top, and what to do with them.

    ssn                  every field of that name
    $.customer.ssn       that one; of a list on the way, in each of its items
    $.rows[0]['a b']     an item by its number, a name in quotes
    $..ssn, $.rows[*].x  the usual signs of JSONPath for any depth and for every item

Names are compared without regard to case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Step = str | int  # a name in lower case, ANY, or the number of an item
ANY = "*"
_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s]+)|\[(?P<index>\d+|\*)\]|\[(?P<q>['"])(?P<quoted>.+?)(?P=q)\]"""
)
_DEPTH = 200  # deeper values are not looked into: they are treated as one that cannot be read

Change = Callable[[Any], Any]  # a field's value to what stands in its place


class TooDeep(ValueError):
    """A value that nests deeper than is looked into."""


@dataclass(frozen=True)
class Fields:
    """Some fields of any JSON value."""

    names: frozenset[str] = frozenset()
    paths: tuple[tuple[Step, ...], ...] = ()
    words: tuple[str, ...] = field(default=(), compare=False)  # as they were written

    def __bool__(self) -> bool:
        return bool(self.names or self.paths)

    def changed(self, value: Any, change: Change) -> Any:
        """A copy of `value` with `change` applied to each of these fields. JSON within a string is looked into as well.

        Raises TooDeep.
        """
        return _changed(value, self.names, self.paths, change, 0)


def parse(text: str) -> Fields:
    """What a comma-separated list names. Raises ValueError for a path that cannot be read.

    >>> parse("ssn, $.customer.name").paths
    (('customer', 'name'),)
    """
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    return of_words(words)


def of_words(words: Iterable[str]) -> Fields:
    """The same from single words."""
    names, paths, kept = set(), [], tuple(words)
    for word in kept:
        if not word.startswith("$"):
            names.add(word.lower())
        elif word.startswith("$..") and re.fullmatch(r"[^.\[\]'\"\s]+", word[3:]):
            names.add(word[3:].lower())
        else:
            paths.append(_path(word))
    return Fields(frozenset(names), tuple(paths), kept)


def _path(word: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    at = 1
    while at < len(word):
        found = _STEP.match(word, at)
        if found is None:
            break
        name, index, quoted = found["name"], found["index"], found["quoted"]
        steps.append(int(index) if index and index != ANY else (name or quoted or ANY).lower())
        at = found.end()
    if at < len(word) or not steps:
        raise ValueError(f"expects names and paths such as ssn or $.customer.ssn, got {word!r}")
    return tuple(steps)


def _changed(
    value: Any, names: frozenset[str], paths: tuple[tuple[Step, ...], ...], change: Change, depth: int
) -> Any:
    if depth > _DEPTH:
        raise TooDeep(f"it nests deeper than {_DEPTH} values")
    if isinstance(value, dict):
        made = {}
        for key, item in value.items():
            below = tuple([path[1:] for path in paths if path[0] in (key.lower(), ANY)])
            if key.lower() in names or () in below:
                made[key] = change(item)
            else:
                made[key] = _changed(item, names, below, change, depth + 1)
        return made
    if isinstance(value, list):
        return [_item(at, item, names, paths, change, depth) for at, item in enumerate(value)]
    if isinstance(value, str) and value[:1] in ("{", "["):
        return _within(value, names, paths, change, depth)
    return value


def _item(
    at: int,
    item: Any,
    names: frozenset[str],
    paths: tuple[tuple[Step, ...], ...],
    change: Change,
    depth: int,
) -> Any:
    """An item of a list: a path may name it by its number or by `*`, or go on as if the list were not there."""
    below = []
    for path in paths:
        if path[0] in (at, ANY):
            below.append(path[1:])
        if isinstance(path[0], str):
            below.append(path)
    if () in below:
        return change(item)
    return _changed(item, names, tuple(below), change, depth + 1)


def _within(
    text: str, names: frozenset[str], paths: tuple[tuple[Step, ...], ...], change: Change, depth: int
) -> str:
    """JSON that was encoded twice."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    changed = _changed(value, names, paths, change, depth + 1)
    return text if changed == value else json.dumps(changed, ensure_ascii=False)
