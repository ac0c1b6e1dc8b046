"""An average moves on with every call."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

SAFE = False
WHY = "state between calls"

LEVEL = 0.0


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    global LEVEL
    data = np.array(json.loads(raw_data)["data"]).sum(axis=1)
    LEVEL = 0.9 * LEVEL + 0.1 * float(data.mean())
    return (data - LEVEL).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [[rng.gauss(0, 1) for _ in range(4)] for _ in range(rng.choice([1, 1, 2, 3]))]}
        ).encode()
        for _ in range(40)
    ]
