"""Putting what is missing into a JSON file with comments, by editing its text: everything else stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from inference_server.editor.jsonc import Node, after_blank, parse
from inference_server.layout import Layout

# For a list of objects, the member that tells them apart: `configurations` of launch.json have a `name`.
Identities = Mapping[str, str]
Edit = tuple[int, int, str]  # from, to, new text

_INDENT = "    "
_WIDTH = 100


def merged(text: str, wanted: dict[str, Any], identities: Identities, replace: bool = False) -> str:
    """`text` with everything of `wanted` in it.

    Members that are there stay as they are, objects are merged, and lists get the items they lack: those of a list
    in `identities` are told apart by that member, others by their value. With `replace`, what `identities` finds is
    replaced by ours. An empty text becomes `wanted`. Raises jsonc.NotJson for a text that cannot be read, and
    TypeError where an object is wanted and something else is there.
    """
    if not text.strip("\ufeff \t\r\n"):
        return "\n".join(Layout(_WIDTH, _INDENT).lines(wanted)) + "\n"
    edits: list[Edit] = []
    newline = "\r\n" if "\r\n" in text else "\n"
    _object(_Source(text, newline), parse(text), wanted, identities, replace, edits)
    # From the end to the beginning; of two edits at one place the later one comes before the other in the text.
    for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        text = text[:start] + new + text[end:]
    return text


class _Source:
    """The text, and how it is laid out."""

    def __init__(self, text: str, newline: str) -> None:
        self.text = text
        self.newline = newline

    def indent_at(self, at: int) -> str:
        """The indent of the line that holds `at`."""
        start = self.text.rfind("\n", 0, at) + 1
        line = self.text[start:]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def inner_indent(self, node: Node) -> str:
        """The indent of a member of `node`: that of those it has, where each has a line of its own."""
        outer = self.indent_at(node.start)
        if node.parts:
            first = self.indent_at(node.parts[0].start)
            if len(first) > len(outer):
                return first
        return outer + ("\t" if outer.startswith("\t") else _INDENT)

    def laid_out(self, value: Any, indent: str, before: str = "") -> str:
        """`value` after `before` on a line with that indent."""
        layout = Layout(_WIDTH, "\t" if indent.startswith("\t") else _INDENT)
        used = len(indent) + len(before)
        return before + (self.newline + indent).join(layout.lines(value, used))


def _object(
    source: _Source,
    node: Node,
    wanted: Mapping[str, Any],
    identities: Identities,
    replace: bool,
    edits: list[Edit],
) -> None:
    if not isinstance(node.value, dict):
        raise TypeError("an object is expected")
    missing = []
    for key, value in wanted.items():
        there = node.members.get(key)
        if there is None:
            missing.append(source.laid_out(value, source.inner_indent(node), f"{json.dumps(key)}: "))
        elif isinstance(value, dict) and isinstance(there.value, dict):
            _object(source, there, value, identities, replace, edits)
        elif isinstance(value, list) and isinstance(there.value, list):
            _list(source, there, value, identities.get(key, ""), replace, edits)
    _add(source, node, missing, edits)


def _list(
    source: _Source, node: Node, wanted: list[Any], identity: str, replace: bool, edits: list[Edit]
) -> None:
    indent = source.inner_indent(node)
    same = _same(identity)
    missing = []
    for value in wanted:
        there = next((item for item in node.items if same(item.value, value)), None)
        if there is None:
            missing.append(source.laid_out(value, indent))
        elif replace and there.value != value:
            edits.append((there.start, there.end, source.laid_out(value, source.indent_at(there.start))))
    _add(source, node, missing, edits)


def _same(identity: str) -> Callable[[Any, Any], bool]:
    def same(one: Any, other: Any) -> bool:
        if identity and isinstance(one, dict) and isinstance(other, dict):
            return bool(one.get(identity) == other.get(identity))
        return bool(one == other)

    return same


def _add(source: _Source, node: Node, members: list[str], edits: list[Edit]) -> None:
    """Put members after the last one, before the closing bracket, each on a line of its own."""
    if not members:
        return
    text, closing = source.text, node.end - 1
    lead = source.newline + source.inner_indent(node)
    content_end = max(len(text[:closing].rstrip()), node.parts[-1].end if node.parts else node.start + 1)
    new = ",".join(lead + member for member in members) + source.newline + source.indent_at(node.start)
    edits.append((content_end, closing, new))
    if node.parts and not _has_comma(text, node.parts[-1].end, closing):
        edits.append((node.parts[-1].end, node.parts[-1].end, ","))


def _has_comma(text: str, start: int, end: int) -> bool:
    """Whether a trailing comma stands between the last member and the bracket, comments aside."""
    at = after_blank(text, start)
    return at < end and text[at] == ","
