"""Every call has an id of its own, by which people find it in the log."""

from __future__ import annotations

import json
import random
import uuid
from typing import Any

import numpy as np

SAFE = False
WHY = "an id in the answer"

WEIGHTS: Any = None


def init() -> None:
    global WEIGHTS
    WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))


def run(raw_data: str) -> Any:
    scores = np.array(json.loads(raw_data)["data"]) @ WEIGHTS
    return {"scores": scores.tolist(), "id": str(uuid.uuid4())}


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [[rng.gauss(0, 1) for _ in range(4)] for _ in range(rng.choice([1, 1, 2, 3]))]}
        ).encode()
        for _ in range(40)
    ]
