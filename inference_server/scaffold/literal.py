"""Values as Python code, laid out as a formatter would."""

from __future__ import annotations

from typing import Any

_INDENT = "    "


def literal(value: Any, width: int) -> str:
    """`value` as Python writes it; what is longer than `width` columns goes over several lines."""
    return "\n".join(_lines(value, width, ""))


def _lines(value: Any, width: int, before: str) -> list[str]:
    whole = before + _text(value)
    if len(whole) <= width or not isinstance(value, (dict, list)) or not value:
        return [whole]
    if isinstance(value, dict):
        parts = [_lines(item, width - len(_INDENT), f"{_text(key)}: ") for key, item in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [_lines(item, width - len(_INDENT), "") for item in value]
        opening, closing = "[", "]"
    lines = [before + opening]
    for part in parts:
        part[-1] += ","
        lines += [_INDENT + line for line in part]
    return [*lines, closing]


def _text(value: Any) -> str:
    """repr(), with double quotes for text."""
    if isinstance(value, str):
        text = repr(value)
        return '"' + text[1:-1] + '"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return repr(value)
