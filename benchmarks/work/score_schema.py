"""The scoring script of the MLP with a declared input, as Azure's samples have it."""

from __future__ import annotations

import mlp
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema


def init():
    pass


@input_schema("data", NumpyParameterType(np.zeros((1, mlp.SIZES[0]), dtype=np.float32)))
def run(data):
    return mlp.scores(data).tolist()
