"""JSON decoded by orjson where the model's environment has it, with the values json.loads would give."""

from __future__ import annotations

import json
from typing import Any, Callable

from inference_server.scoring.batching.shapes import has_long_digits

Loads = Callable[[bytes], Any]


def loads() -> Loads:
    """The fastest decoder there is here: its values are those of json.loads, for bytes in any encoding.

    What it returns raises ValueError or RecursionError, as json.loads does.
    """
    try:
        import orjson
    except ImportError:
        return json.loads
    fast = orjson.loads

    def either(text: bytes) -> Any:
        # orjson refuses NaN, single surrogates, a byte order mark and overflows; json then has the last word.
        # Whole numbers past 64 bits it does not refuse, but gives as floats.
        if not has_long_digits(text):
            try:
                return fast(text)
            except ValueError:
                pass
        return json.loads(text)

    return either
