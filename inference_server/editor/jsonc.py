"""JSON with comments, read with the place of every value, so that it can be changed without touching the rest."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_BLANK = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_DEEP = 200


class NotJson(ValueError):
    """The text is not JSON with comments; the message says where."""


@dataclass
class Node:
    """A value: where it stands in the text, and what is in it."""

    start: int
    end: int
    value: Any  # as Python has it
    members: dict[str, Node] = field(default_factory=dict)  # of an object
    items: list[Node] = field(default_factory=list)  # of an array

    @property
    def parts(self) -> list[Node]:
        return list(self.members.values()) or self.items


def parse(text: str) -> Node:
    """The whole text as one value; comments and trailing commas are taken. Raises NotJson."""
    reader = _Reader(text)
    node = reader.value(reader.blank(1 if text.startswith("\ufeff") else 0), 0)
    end = reader.blank(node.end)
    if end != len(text):
        raise reader.wrong(end, "nothing more")
    return node


def after_blank(text: str, at: int) -> int:
    """The place after spaces and comments."""
    found = _BLANK.match(text, at)
    return found.end() if found else at


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text

    def blank(self, at: int) -> int:
        return after_blank(self.text, at)

    def value(self, at: int, deep: int) -> Node:
        if deep > _DEEP:
            raise self.wrong(at, "fewer levels")
        character = self.text[at : at + 1]
        if character == "{":
            return self._object(at, deep)
        if character == "[":
            return self._array(at, deep)
        found = _STRING.match(self.text, at) or _WORD.match(self.text, at)
        if found is None:
            raise self.wrong(at, "a value")
        try:
            return Node(at, found.end(), json.loads(found[0]))
        except ValueError:
            raise self.wrong(at, "a value") from None

    def _object(self, start: int, deep: int) -> Node:
        members: dict[str, Node] = {}
        at = self.blank(start + 1)
        while self.text[at : at + 1] != "}":
            key = _STRING.match(self.text, at)
            if key is None:
                raise self.wrong(at, "a name in double quotes")
            at = self.blank(key.end())
            if self.text[at : at + 1] != ":":
                raise self.wrong(at, "a colon")
            node = self.value(self.blank(at + 1), deep + 1)
            members[json.loads(key[0])] = node
            at = self._after(node, "}")
        return Node(start, at + 1, {name: node.value for name, node in members.items()}, members)

    def _array(self, start: int, deep: int) -> Node:
        items: list[Node] = []
        at = self.blank(start + 1)
        while self.text[at : at + 1] != "]":
            items.append(self.value(at, deep + 1))
            at = self._after(items[-1], "]")
        return Node(start, at + 1, [node.value for node in items], items=items)

    def _after(self, node: Node, closing: str) -> int:
        """The place of the next member, or of the closing bracket."""
        at = self.blank(node.end)
        if self.text[at : at + 1] == ",":
            return self.blank(at + 1)
        if self.text[at : at + 1] != closing:
            raise self.wrong(at, f"a comma or {closing}")
        return at

    def wrong(self, at: int, expected: str) -> NotJson:
        line = self.text.count("\n", 0, at) + 1
        got = repr(self.text[at : at + 10]) if at < len(self.text) else "the end"
        return NotJson(f"line {line}: expected {expected}, found {got}")
