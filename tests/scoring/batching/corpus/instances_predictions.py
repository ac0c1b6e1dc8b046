"""Names as TensorFlow Serving has them."""

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
    return {"predictions": (np.array(json.loads(raw_data)["instances"]) @ WEIGHTS).tolist()}


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps({"instances": [[rng.gauss(0, 1) for _ in range(4)]]}, separators=(",", ":")).encode()
        for _ in range(40)
    ]
