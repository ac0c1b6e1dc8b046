"""run() is decorated with @batched and takes the list itself."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from inference_server import batched

SAFE = True
WAY = "run_batch"

WEIGHTS: Any = None


def init() -> None:
    global WEIGHTS
    WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))


@batched(max_batch_size=16)
def run(items: list[str]) -> Any:
    return (np.array([json.loads(item)["row"] for item in items]) @ WEIGHTS).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [json.dumps({"row": [rng.gauss(0, 1) for _ in range(4)]}).encode() for _ in range(40)]
