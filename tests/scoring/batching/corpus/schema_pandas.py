"""@input_schema with a pandas sample."""

from __future__ import annotations

import json
import random
from typing import Any

import pandas as pd
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.schema_decorators import input_schema

SAFE = True


def init() -> None:
    pass


@input_schema("data", PandasParameterType(pd.DataFrame({"x": [1.5], "n": [2], "kind": ["a"]})))
def run(data: Any) -> Any:
    return {"result": (data["x"] * data["n"] + data["kind"].str.len()).tolist()}


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [{"x": rng.gauss(0, 1), "n": rng.randrange(9), "kind": "a" * rng.randint(1, 3)}]}
        ).encode()
        for _ in range(40)
    ]
