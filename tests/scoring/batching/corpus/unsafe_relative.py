"""Scores are given as a share of the call's largest."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

SAFE = False
WHY = "divided by the largest of the batch"


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    sums = np.abs(np.array(json.loads(raw_data)["data"])).sum(axis=1)
    return (sums / sums.max()).round(4).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [[rng.gauss(0, 1) for _ in range(4)] for _ in range(rng.choice([1, 1, 2, 3]))]}
        ).encode()
        for _ in range(40)
    ]
