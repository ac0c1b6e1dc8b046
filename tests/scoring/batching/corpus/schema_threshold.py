"""Two arguments: an array of rows and a number that holds for all of them."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

SAFE = True

WEIGHTS: Any = None


def init() -> None:
    global WEIGHTS
    WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))


@input_schema("threshold", StandardPythonParameterType(0.5))
@input_schema("data", NumpyParameterType(np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float32)))
def run(data: Any, threshold: float = 0.5) -> Any:
    return ((data @ WEIGHTS.astype(np.float32))[:, 0] > threshold).tolist()


def bodies(rng: random.Random) -> list[bytes]:
    made = []
    for _ in range(40):
        request: Any = {"data": [[round(rng.gauss(0, 1), 2) for _ in range(4)]]}
        if rng.random() < 0.6:
            request["threshold"] = rng.choice([0.25, 0.5])
        made.append(json.dumps(request).encode())
    return made
