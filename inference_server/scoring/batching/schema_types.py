"""What @input_schema was told about each argument of run(), read from the decorated function.

The decorator keeps the types of the arguments only in the closures of the wrappers it makes. Where they are not
found there, nothing is assumed about the arguments.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, NamedTuple


class Declaration(NamedTuple):
    """One use of @input_schema."""

    type: Any  # an instance of one of inference_schema's parameter types
    converts: bool  # run() gets the type, not the decoded JSON
    optional: bool  # an empty value is handed on as it is


def declarations(run: Callable[..., Any]) -> Dict[str, Declaration]:
    """By argument. Empty where `run` has no such decorators, or they are not built as expected."""
    base = _class("abstract_parameter_type", "AbstractParameterType")
    found: Dict[str, Declaration] = {}
    function: Any = run
    for _ in range(100):  # as many wrappers, at most
        cells = _closure(getattr(function, "_self_wrapper", None))
        kind, name = cells.get("param_type"), cells.get("param_name")
        if base is not None and isinstance(kind, base) and isinstance(name, str):
            found[name] = Declaration(
                kind, bool(cells.get("convert_to_provided_type", True)), bool(cells.get("optional", False))
            )
        function = getattr(function, "__wrapped__", None)
        if function is None:
            break
    return found


def is_numpy(kind: Any) -> bool:
    """Whether arrays with a leading axis are declared."""
    numpy_type = _class("numpy_parameter_type", "NumpyParameterType")
    return numpy_type is not None and isinstance(kind, numpy_type) and kind.sample_input.ndim > 0


def is_plain_numpy(kind: Any) -> bool:
    """Whether they are arrays of numbers, made as numpy.array(rows, dtype) makes them."""
    return (
        type(kind) is _class("numpy_parameter_type", "NumpyParameterType")
        and kind.enforce_column_type
        and kind.sample_input.dtype.kind in "biuf"
    )


def is_pandas_rows(kind: Any) -> bool:
    """Whether frames are declared that come as a list of rows."""
    pandas_type = _class("pandas_parameter_type", "PandasParameterType")
    return pandas_type is not None and isinstance(kind, pandas_type) and kind.orient in ("records", "values")


def convert(name: str, value: Any, declared: Declaration) -> Any:
    """`value` as run() gets it. Raises what the decorator raises for a value of another type."""
    if not declared.converts or (declared.optional and not value):
        return value
    nested = getattr(sys.modules["inference_schema.schema_decorators"], "_deserialize_input_argument", None)
    if nested is not None:
        return nested(value, declared.type, name)
    return (
        value if isinstance(value, declared.type.sample_data_type) else declared.type.deserialize_input(value)
    )


def _closure(function: Any) -> Dict[str, Any]:
    """The variables a function has from around it, by name."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or not cells:
        return {}
    found = {}
    for name, cell in zip(code.co_freevars, cells):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return found


def _class(module: str, name: str) -> Any:
    """A class of inference_schema, which is looked up and never imported; None where the script has no use of it."""
    return getattr(sys.modules.get("inference_schema.parameter_types." + module), name, None)
