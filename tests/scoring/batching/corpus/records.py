"""Rows are objects, read by pandas."""

from __future__ import annotations

import json
import random
from typing import Any

import pandas as pd

SAFE = True


def init() -> None:
    pass


def run(raw_data: str) -> Any:
    frame = pd.DataFrame(json.loads(raw_data)["data"])
    price = (
        1000 * frame["rooms"]
        + frame["area"] * 12.5
        + frame["town"].map({"Ulm": 10, "Bonn": 20}).astype(float)
    )
    return price.tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {
                "data": [
                    {
                        "rooms": rng.randint(1, 6),
                        "area": rng.uniform(20, 200),
                        "town": rng.choice(["Ulm", "Bonn"]),
                    }
                ]
            }
        ).encode()
        for _ in range(40)
    ]
