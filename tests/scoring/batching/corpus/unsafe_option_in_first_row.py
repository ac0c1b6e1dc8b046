"""The first row says how all rows are scored."""

from __future__ import annotations

import json
import random
from typing import Any

SAFE = False
WHY = "an option in the first row"


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    rows = json.loads(raw_data)["data"]
    top = rows[0]["top"]
    return [sorted(row["scores"], reverse=True)[:top] for row in rows]


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [{"top": rng.randint(1, 3), "scores": [rng.randrange(100) for _ in range(4)]}]}
        ).encode()
        for _ in range(40)
    ]
