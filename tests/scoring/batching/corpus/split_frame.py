"""A frame as pandas writes it with orient=split, under input_data."""

from __future__ import annotations

import json
import random
from typing import Any

import pandas as pd

SAFE = True


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    frame = pd.DataFrame(**json.loads(raw_data)["input_data"])
    return (frame["x"] * 2 + frame["y"]).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    made = []
    for _ in range(40):
        rows = rng.randint(1, 3)
        data = [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(rows)]
        made.append(
            json.dumps(
                {"input_data": {"columns": ["x", "y"], "index": list(range(rows)), "data": data}}
            ).encode()
        )
    return made
