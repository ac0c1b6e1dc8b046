"""@input_schema with a numpy sample."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema, output_schema

SAFE = True

WEIGHTS: Any = None


def init() -> None:
    global WEIGHTS
    WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))


@input_schema("data", NumpyParameterType(np.array([[0.1, 0.2, 0.3, 0.4]])))
@output_schema(NumpyParameterType(np.array([1])))
def run(data: Any) -> Any:
    return (data @ WEIGHTS).argmax(axis=1).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    return [
        json.dumps(
            {"data": [[rng.gauss(0, 1) for _ in range(4)] for _ in range(rng.choice([1, 1, 2, 3]))]}
        ).encode()
        for _ in range(40)
    ]
