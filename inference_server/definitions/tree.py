"""What a file says, as a tree whose every part knows where it was written. Scalars stay texts: each field reads its own.

A version 1.10 is not 1.1, and a name may be `on`: what a text means is not YAML's to guess but the field's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

Steps = tuple[str | int, ...]  # from the top to a field: names, and numbers of items
_PLAIN_STEP = re.compile(r"[^.\[\]\"'\s]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NULLS = ("", "~", "null", "Null", "NULL")
_MOST_DEPTH = 60


@dataclass(frozen=True)
class Place:
    """Where something was written: `source` is a file or a flag, `line` counts from 1; 0: there are no lines."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass
class Scalar:
    """One value, as it is written."""

    place: Place
    text: str
    quoted: bool = False  # then it is a text whatever stands in it

    @property
    def is_null(self) -> bool:
        """Whether it says that there is nothing."""
        return not self.quoted and self.text in _NULLS


@dataclass
class Table:
    """Names and what belongs to them, in the order of the file."""

    place: Place
    items: dict[str, Node] = field(default_factory=dict)
    names: dict[str, Place] = field(default_factory=dict)  # where each name stands


@dataclass
class List:
    """Items, one after the other."""

    place: Place
    items: list[Node] = field(default_factory=list)


Node = Scalar | Table | List


def is_null(node: Node | None) -> bool:
    """Whether a node says nothing: it is not there, or is YAML's null."""
    return node is None or (isinstance(node, Scalar) and node.is_null)


def spelled(steps: Steps) -> str:
    """A field's path as people write it.

    >>> spelled(("identity", "user_assigned_identities", 0, "resource_id"))
    'identity.user_assigned_identities[0].resource_id'
    """
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_STEP.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def places(node: Node, steps: Steps = ()) -> Iterator[tuple[Steps, Place]]:
    """Where each field stands: that of its name, where it has one."""
    if isinstance(node, Table):
        for name, item in node.items.items():
            yield (*steps, name), node.names.get(name, item.place)
            yield from places(item, (*steps, name))
    elif isinstance(node, List):
        for number, item in enumerate(node.items):
            yield (*steps, number), item.place
            yield from places(item, (*steps, number))


def tree_of(value: Any, place: Place, depth: int = 0) -> Node:
    """Values of Python as a tree. Raises ValueError for what no file can hold."""
    if depth > _MOST_DEPTH:
        raise ValueError(f"nests deeper than {_MOST_DEPTH} values")
    if value is None:
        return Scalar(place, "")
    if isinstance(value, bool):
        return Scalar(place, str(value).lower())
    if isinstance(value, (int, float)):
        return Scalar(place, repr(value))
    if isinstance(value, (str, PathLike)):
        return Scalar(place, _whole_text(str(fspath(value))), quoted=True)
    if isinstance(value, Mapping):
        table = Table(place)
        for name, item in value.items():
            table.items[_whole_text(str(name))] = tree_of(item, place, depth + 1)
        return table
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return List(place, [tree_of(item, place, depth + 1) for item in value])
    raise ValueError(f"a {type(value).__name__} is no value of a definition")


def has_half(text: str) -> bool:
    """Whether there is half of a character in a text, which no file can hold."""
    return any("\ud800" <= sign <= "\udfff" for sign in text)


def _whole_text(text: str) -> str:
    if has_half(text):
        raise ValueError("holds half of a character, or bytes that are no UTF-8 text")
    return text


def value_of(node: Node) -> Any:
    """A tree as values of Python, for fields that may hold anything. Texts of numbers stay texts unless JSON has them."""
    if isinstance(node, Table):
        return {name: value_of(item) for name, item in node.items.items()}
    if isinstance(node, List):
        return [value_of(item) for item in node.items]
    if node.quoted:
        return node.text
    if node.is_null:
        return None
    if node.text in ("true", "false"):
        return node.text == "true"
    if _NUMBER.fullmatch(node.text) and repr(found := _number(node.text)) == node.text:
        return found  # only what comes out as it went in: 1.10 stays a text
    return node.text


def _number(text: str) -> int | float | None:
    try:
        return float(text) if re.search(r"[.eE]", text) else int(text)
    except ValueError:  # an int of thousands of digits
        return None
