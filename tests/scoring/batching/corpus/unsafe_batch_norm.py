"""Rows are normalised by the mean and deviation of the call, as a network left in training mode does."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

SAFE = False
WHY = "normalised over the batch"

WEIGHTS: Any = None


def init() -> None:
    global WEIGHTS
    WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))


def run(raw_data: str) -> Any:
    data = np.array(json.loads(raw_data)["data"])
    return (((data - data.mean(axis=0)) / (data.std(axis=0) + 1e-5)) @ WEIGHTS).argmax(axis=1).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [[rng.gauss(0, 1) for _ in range(4)] for _ in range(rng.choice([1, 1, 2, 3]))]}
        ).encode()
        for _ in range(40)
    ]
