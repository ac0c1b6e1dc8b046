"""An answer in many pieces, as a language model would send it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CHUNK = "0123456789abcdef" * 4 + "\n"


def chunks(payload: dict[str, Any]) -> Iterator[str]:
    for _ in range(payload["chunks"]):
        yield CHUNK
