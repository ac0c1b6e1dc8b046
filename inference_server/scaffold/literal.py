"""Values as Python code, laid out as a formatter would."""

from __future__ import annotations

from typing import Any

from inference_server.layout import Layout


def literal(value: Any, width: int) -> str:
    """`value` as Python writes it; what is longer than `width` columns goes over several lines."""
    return "\n".join(Layout(width, write=_text, trailing_comma=True).lines(value))


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
