"""Two arrays with one row each for every sample."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

SAFE = True


def init() -> None:
    pass


@input_schema("right", NumpyParameterType(np.array([[1.0, 2.0]])))
@input_schema("left", NumpyParameterType(np.array([[1.0, 2.0]])))
def run(left: Any, right: Any) -> Any:
    return np.sqrt(((left - right) ** 2).sum(axis=1))


def bodies(rng: random.Random) -> list[bytes]:
    def pairs(rows: int) -> Any:
        return [[rng.gauss(0, 1), rng.gauss(0, 1)] for _ in range(rows)]

    made = []
    for _ in range(40):
        rows = rng.randint(1, 3)
        made.append(json.dumps({"left": pairs(rows), "right": pairs(rows)}).encode())
    return made
