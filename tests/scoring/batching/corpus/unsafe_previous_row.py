"""Each row is compared with the one before it."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

SAFE = False
WHY = "each row looks at the one before"


def init() -> None:
    pass


@input_schema("data", NumpyParameterType(np.array([[0.1, 0.2, 0.3, 0.4]])))
def run(data: Any) -> Any:
    return np.diff(data.sum(axis=1), prepend=0.0).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [[rng.gauss(0, 1) for _ in range(4)] for _ in range(rng.choice([1, 1, 2, 3]))]}
        ).encode()
        for _ in range(40)
    ]
