"""Errors are caught and returned as text, as many samples do."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

SAFE = True

WEIGHTS: Any = None


def init() -> None:
    global WEIGHTS
    WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))


def run(raw_data: str) -> Any:
    try:
        data = np.array(json.loads(raw_data)["data"], dtype=float)
        return (data @ WEIGHTS).tolist()
    except Exception as error:
        return str(error)


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps({"data": [[rng.gauss(0, 1) for _ in range(4 if rng.random() < 0.95 else 5)]]}).encode()
        for _ in range(40)
    ]
