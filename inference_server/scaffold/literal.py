"""Values as Python code, laid out as a formatter would.

What a model's file says (names, types, shapes) is somebody else's text, and a script made of it is run: it enters
a script through these two functions only.
"""

from __future__ import annotations

import math
from typing import Any

from inference_server.layout import Layout

_HARMLESS = {'"': "'", "\\": "/"}


def literal(value: Any, width: int) -> str:
    """`value` as Python writes it; what is longer than `width` columns goes over several lines."""
    return "\n".join(Layout(width, write=_text, trailing_comma=True).lines(value))


def shown(text: str) -> str:
    """`text` as it may stand in a docstring: on one line, with nothing that could end it."""
    return "".join(
        _HARMLESS.get(character, character if character.isprintable() else " ") for character in text
    )


def _text(value: Any) -> str:
    """repr(), with double quotes for text and as code for what is no number."""
    if isinstance(value, str):
        text = repr(value)
        return '"' + text[1:-1] + '"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)
