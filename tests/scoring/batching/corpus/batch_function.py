"""run_batch() takes a list of bodies; one that cannot be scored fails alone."""

from __future__ import annotations

import json
import random
from typing import Any

SAFE = True
WAY = "run_batch"


def init() -> None:
    pass


def run_batch(items: list[str]) -> list[Any]:
    made: list[Any] = []
    for item in items:
        value = json.loads(item)["value"]
        made.append({"root": value**0.5} if value >= 0 else ValueError(f"{value} has no root"))
    return made


def bodies(rng: random.Random) -> list[bytes]:
    return [json.dumps({"value": rng.randint(-1, 20)}).encode() for _ in range(40)]
