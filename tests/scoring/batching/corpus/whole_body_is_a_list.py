"""The body is the list of rows itself, of whole numbers."""

from __future__ import annotations

import json
import random
from typing import Any

SAFE = True

WEIGHTS = [2, 3, 5]


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    return [
        sum(weight * value for weight, value in zip(WEIGHTS, row, strict=True))
        for row in json.loads(raw_data)
    ]


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps([[rng.randrange(100) for _ in range(3)] for _ in range(rng.randint(1, 2))]).encode()
        for _ in range(40)
    ]
