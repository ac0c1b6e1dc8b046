"""Rows are objects, and so are the results: the frame is returned."""

from __future__ import annotations

import json
import random
from typing import Any

import pandas as pd

SAFE = True


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    frame = pd.DataFrame(json.loads(raw_data)["inputs"])
    frame["risk"] = frame["age"] / 100 + frame["smoker"] * 0.25
    return frame[["name", "risk"]]


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {
                "inputs": [
                    {
                        "name": f"n{rng.randrange(999)}",
                        "age": rng.randint(18, 90),
                        "smoker": rng.random() < 0.5,
                    }
                ]
            }
        ).encode()
        for _ in range(40)
    ]
