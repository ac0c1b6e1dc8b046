"""Rows with a negative sum are left out."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

SAFE = False
WHY = "bad rows are dropped"


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    sums = np.array(json.loads(raw_data)["data"]).sum(axis=1)
    return {"sums": sums[sums >= 0].tolist()}


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [[rng.gauss(0, 1) for _ in range(4)] for _ in range(rng.choice([1, 1, 2, 3]))]}
        ).encode()
        for _ in range(40)
    ]
