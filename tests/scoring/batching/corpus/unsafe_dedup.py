"""Rows that came before in the call are marked as repeated."""

from __future__ import annotations

import json
import random
from typing import Any

SAFE = False
WHY = "duplicates within the batch are marked"


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    seen: set[Any] = set()
    made = []
    for row in json.loads(raw_data)["data"]:
        made.append({"sum": sum(row), "repeated": tuple(row) in seen})
        seen.add(tuple(row))
    return made


def bodies(rng: random.Random) -> list[bytes]:
    return [json.dumps({"data": [[rng.randrange(2), rng.randrange(2)]]}).encode() for _ in range(40)]
