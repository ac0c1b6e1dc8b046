"""Errors are caught and returned as a dict; a few requests hold a word for a number."""

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
        return {"result": (data @ WEIGHTS).tolist()}
    except Exception as error:
        return {"error": str(error)}


def bodies(rng: random.Random) -> list[bytes]:
    rows = [[rng.gauss(0, 1) for _ in range(4)] for _ in range(40)]
    return [
        json.dumps({"data": [[*row[:3], "many"] if at % 10 == 9 else row]}).encode()
        for at, row in enumerate(rows)
    ]
