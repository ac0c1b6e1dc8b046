"""Texts are filled up to the longest of the call, and the filling is counted."""

from __future__ import annotations

import json
import random
from typing import Any

SAFE = False
WHY = "padding leaks into the result"


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    texts = json.loads(raw_data)["inputs"]
    longest = max(map(len, texts))
    return {"scores": [sum(map(ord, text.ljust(longest))) / longest for text in texts]}


def bodies(rng: random.Random) -> list[bytes]:
    return [json.dumps({"inputs": ["ab" * rng.randint(1, 20)]}).encode() for _ in range(40)]
