"""The script declares what fills rows up, but takes the mean over the filling as well."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

SAFE = False
WHY = "declared padding leaks into the result"


def init() -> None:
    pass


BATCH_PAD = {"data": 0}


def run(raw_data: str) -> Any:
    return np.array(json.loads(raw_data)["data"]).mean(axis=1).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps({"data": [[rng.randrange(1, 100) for _ in range(rng.randint(1, 9))]]}).encode()
        for _ in range(40)
    ]
