"""From what a model takes to run()'s parameters: decorators with a sample, and a request that fits them."""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass
from typing import Any

from inference_server.scaffold.literal import literal
from inference_server.scaffold.model import Table, Takes, Tensor, Tensors, Texts

_NUMPY = "from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType"
_PANDAS = "from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType"
_STANDARD = (
    "from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType"
)
_MOST_SAMPLE = 2000  # numbers; a larger sample has no place in a script and in the API description
_MOST_SHOWN = 24  # columns written out one by one
_USUAL = {2: 8, 3: 224, 4: 224}  # for a size that the caller decides, by the number of dimensions
_WIDTH = 100


@dataclass(frozen=True)
class Inputs:
    """run()'s side of a script. Lines are without indent."""

    request: dict[str, Any]  # a sample request
    parameters: str
    doc: str  # what run() does with them, one line
    imports: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    body: tuple[str, ...] = ()  # what comes before the call
    words: tuple[str, ...] = ("data",)  # what stands for each thing that was given
    requirements: tuple[str, ...] = ()

    @property
    def standard(self) -> str:
        return _STANDARD


def inputs_of(takes: Takes) -> Inputs:
    """The inputs of a script for a model that takes that."""
    if isinstance(takes, Table):
        return _array(takes) if takes.numeric else _frame(takes)
    if isinstance(takes, Texts):
        return _texts()
    if isinstance(takes, Tensors):
        large = sum(math.prod(_sample_shape(tensor)) for tensor in takes.tensors) > _MOST_SAMPLE
        return _plain_tensors(takes) if large else _tensors(takes)
    return _unknown()


def _array(table: Table) -> Inputs:
    row = [column.example for column in table.columns]
    if len(row) > _MOST_SHOWN and not any(row):
        sample = f"np.zeros((1, {len(row)}))"
    else:
        sample = f"np.array({literal([row], _WIDTH - 18)})"
    return Inputs(
        {"data": [row]},
        "data",
        f"One answer for each row of `data`: {len(row)} numbers.",
        ("import numpy as np", _NUMPY),
        (f"SAMPLE = {sample}",),
        ('@input_schema("data", NumpyParameterType(SAMPLE))',),
        requirements=("inference-schema", "numpy"),
    )


def _frame(table: Table) -> Inputs:
    row = {column.name: column.example for column in table.columns}
    types = {column.name: column.dtype for column in table.columns if column.dtype}
    cast = f".astype({literal(types, _WIDTH)})" if types else ""
    return Inputs(
        {"data": [row]},
        "data",
        "One answer for each record of `data`.",
        ("import pandas as pd", _PANDAS),
        (f"SAMPLE = pd.DataFrame({literal([row], _WIDTH - 22)}){cast}",),
        ('@input_schema("data", PandasParameterType(SAMPLE))',),
        requirements=("inference-schema", "pandas"),
    )


def _texts() -> Inputs:
    return Inputs(
        {"data": ["a text"]},
        "data",
        "One answer for each text of `data`.",
        (_STANDARD,),
        ('SAMPLE = ["a text"]',),
        ('@input_schema("data", StandardPythonParameterType(SAMPLE))',),
        requirements=("inference-schema",),
    )


def _tensors(takes: Tensors) -> Inputs:
    names = _identifiers([tensor.name for tensor in takes.tensors])
    decorators, imports, body = [], {"import numpy as np"}, []
    for tensor in takes.tensors:
        name = names[tensor.name]
        if tensor.dtype == "str":
            imports.add(_STANDARD)
            kind = f"StandardPythonParameterType({literal(_values(tensor), _WIDTH)})"
            body.append(f"{name} = np.array({name}, dtype=object)")
        else:
            imports.add(_NUMPY)
            loose = ", enforce_shape=False" if -1 in tensor.shape[1:] or tensor.shape[:1] != (-1,) else ""
            kind = f"NumpyParameterType({_sample_array(tensor)}{loose})"
        decorators.append(f'@input_schema("{name}", {kind})')
    return Inputs(
        {names[tensor.name]: _values(tensor) for tensor in takes.tensors},
        ", ".join(names.values()),
        "; ".join(f"`{names[tensor.name]}`: {_shape_text(tensor)}" for tensor in takes.tensors) + ".",
        tuple(sorted(imports)),
        (),
        tuple(decorators),
        tuple(body),
        tuple(names.values()),
        ("inference-schema", "numpy"),
    )


def _plain_tensors(takes: Tensors) -> Inputs:
    """Without a sample in the script: it would be larger than the script."""
    names = _identifiers([tensor.name for tensor in takes.tensors])
    body = ["fields = json.loads(raw_data)"]
    for tensor in takes.tensors:
        dtype = "object" if tensor.dtype == "str" else f"np.{tensor.dtype}"
        body.append(f'{names[tensor.name]} = np.array(fields["{names[tensor.name]}"], dtype={dtype})')
    return Inputs(
        {names[tensor.name]: _values(tensor) for tensor in takes.tensors},
        "raw_data",
        "; ".join(f"`{names[tensor.name]}`: {_shape_text(tensor)}" for tensor in takes.tensors) + ".",
        ("import json", "import numpy as np"),
        body=tuple(body),
        words=tuple(names.values()),
        requirements=("numpy",),
    )


def _unknown() -> Inputs:
    return Inputs(
        {"data": [[0.0]]},
        "raw_data",
        "One answer for each row of `data`.",
        ("import json",),
        body=('data = json.loads(raw_data)["data"]',),
    )


def _identifiers(names: list[str]) -> dict[str, str]:
    """A parameter name for each tensor: its own where Python allows."""
    found: dict[str, str] = {}
    for name in names:
        word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "data"
        word = (
            f"input_{word}"
            if word[0].isdigit() or keyword.iskeyword(word) or word == "request_headers"
            else word
        )
        while word in found.values():
            word += "_"
        found[name] = word
    return found


def _sample_shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a sample: one row, and usual sizes for what the caller decides."""
    usual = _USUAL.get(len(tensor.shape), 8)
    return tuple(
        1 if place == 0 and size < 1 else usual if size < 1 else size
        for place, size in enumerate(tensor.shape)
    )


def _sample_array(tensor: Tensor) -> str:
    make = "zeros" if tensor.dtype.startswith(("float", "bool")) else "ones"
    return (
        f"np.{make}({_sample_shape(tensor)}, dtype=np.{tensor.dtype}{'_' if tensor.dtype == 'bool' else ''})"
    )


def _values(tensor: Tensor) -> Any:
    """The sample as JSON has it."""
    value: Any = "text" if tensor.dtype == "str" else False if tensor.dtype == "bool" else 1
    if tensor.dtype.startswith("float"):
        value = 0.0
    for size in reversed(_sample_shape(tensor)):
        value = [value] * size
    return value


def _shape_text(tensor: Tensor) -> str:
    sizes = ", ".join("n" if size < 1 else str(size) for size in tensor.shape)
    return f"{'text' if tensor.dtype == 'str' else tensor.dtype} [{sizes}]"
