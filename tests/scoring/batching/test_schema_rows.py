"""Arguments of schema scripts: refused and converted as without batching, joined where that is declared."""

from __future__ import annotations

import functools
import gzip
import itertools
import json
import sys
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

from inference_server.scoring.batching.merger import Merger
from inference_server.scoring.batching.schema_types import declarations
from inference_server.scoring.errors import BadInput
from inference_server.scoring.request import Request
from inference_server.scoring.script import Script
from tests.scoring.batching.merging import JSON_META, module_of, post, script_of

_numbers = itertools.count()


def decorated(function: Any, **types: Any) -> Any:
    """`function` with @input_schema for each of its arguments; inference_schema wants a new name each time."""
    copied = FunctionType(function.__code__, {**function.__globals__, "__name__": f"schema_{next(_numbers)}"})
    copied.__defaults__ = function.__defaults__
    copied.__module__ = f"schema_{next(_numbers)}"
    made: Any = copied
    for name, kind in types.items():
        made = input_schema(name, *kind if isinstance(kind, tuple) else (kind,))(made)
    return made


def of(function: Any, **types: Any) -> tuple[Script, Merger]:
    return script_of(module_of(run=decorated(function, **types)))


def given(merger: Merger, *bodies: Any) -> Any:
    """What run() is called with for all bodies, which must be of one key."""
    payloads = [payload(merger, body) for body in bodies]
    assert len({one.key for one in payloads}) == 1
    return merger.run(**merger.arguments(payloads))


def payload(merger: Merger, body: Any) -> Any:
    found = merger.payload(post(json.dumps(body), JSON_META))
    assert found is not None
    return found


def same(data: Any) -> Any:
    return data


def both(data: Any, k: Any = 5) -> Any:
    return data, k


FOUR = NumpyParameterType(np.array([[0.5, 1.5]]))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
def test_arrays_are_what_they_are_without_merging(dtype: str) -> None:
    script, merger = of(same, data=NumpyParameterType(np.array([[1, 0]], dtype=dtype)))
    bodies: list[Any] = [{"data": [[1, 0]]}, {"data": [[0.5, 1], [1, 1]]}]
    merged = given(merger, *bodies)
    single = np.concatenate(
        [script.run(**script.arguments(post(json.dumps(body), JSON_META))) for body in bodies]
    )
    assert merged.dtype == single.dtype == dtype
    assert merged.flags.c_contiguous
    assert merged.flags.writeable
    np.testing.assert_array_equal(merged, single)


@pytest.mark.parametrize(
    "sample",
    [
        np.array(["a"]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([[{"a": 1}]], dtype=object),
    ],
)
def test_arrays_of_other_things(sample: Any) -> None:
    values = {"M": ["2021-02-03"], "V": [[1, 2.5]], "O": [[{"a": 2}]], "U": ["xyz"]}[sample.dtype.kind]
    script, merger = of(same, data=NumpyParameterType(sample))
    body = {"data": values}
    single = script.run(**script.arguments(post(json.dumps(body), JSON_META)))
    for _ in range(2):  # a call may have to be made again
        merged = given(merger, body, body)
        assert merged.dtype == single.dtype
        assert merged.tolist() == single.tolist() * 2


def test_what_does_not_fit_the_sample_is_left_to_the_decorator() -> None:
    _, merger = of(same, data=FOUR)
    for body in (
        {"data": [[1]]},
        {"data": [1, 2]},
        {"data": []},
        {"data": 5},
        {"data": [["1", "2"]]},
        {"data": [[1, 2], [3]]},
    ):
        assert merger.payload(post(json.dumps(body), JSON_META)) is None
    _, free = of(same, data=NumpyParameterType(np.array([[0.5, 1.5]]), True, False))
    assert given(free, {"data": [[1]]}, {"data": [[2]]}).tolist() == [[1.0], [2.0]]
    assert payload(free, {"data": [[1]]}).key != payload(free, {"data": [[1, 2]]}).key
    _, loose = of(same, data=NumpyParameterType(np.array([[0.5]]), False))
    assert given(loose, {"data": [[1]]}, {"data": [[2]]}).dtype == np.array([[1]]).dtype
    assert payload(loose, {"data": [[1]]}).key != payload(loose, {"data": [[1.5]]}).key


def test_frames() -> None:
    frame = pd.DataFrame({"x": [0.5], "n": [1], "s": ["a"]})
    for orient, rows in (("records", [{"x": 1, "n": 2, "s": "b"}]), ("values", [[1, 2, "b"]])):
        kind = PandasParameterType(frame, enforce_column_type=orient == "records", orient=orient)
        script, merger = of(same, data=kind)
        single = script.run(**script.arguments(post(json.dumps({"data": rows}), JSON_META)))
        merged = given(merger, {"data": rows}, {"data": rows})
        pd.testing.assert_frame_equal(merged, pd.concat([single, single], ignore_index=True))
    _, whole = of(same, data=PandasParameterType(frame, orient="split"))
    assert whole.way == "single"


def test_other_arguments_must_be_equal() -> None:
    _, merger = of(both, data=FOUR, k=StandardPythonParameterType([1]))
    rows = [[1, 2]]
    data, k = given(merger, {"data": rows, "k": [3]}, {"k": [3], "data": rows})
    assert data.tolist() == rows * 2
    assert k == [3]
    assert payload(merger, {"data": rows, "k": [3]}).key != payload(merger, {"data": rows, "k": [3.0]}).key
    _, other = of(both, data=FOUR)
    assert payload(other, {"data": rows}).key == payload(other, {"data": rows, "k": 5}).key
    assert payload(other, {"data": rows}).key != payload(other, {"data": rows, "k": None}).key
    assert payload(other, {"data": rows, "unknown": 1}).key == payload(other, {"data": rows}).key


def test_a_script_that_changes_its_arguments_may_be_called_again() -> None:
    def changes(data: Any, k: Any) -> Any:
        k["n"] += 1
        return [row.pop() for row in data], k["n"]

    _, merger = of(changes, data=(FOUR, False), k=StandardPythonParameterType({"n": 1}))
    payloads = [payload(merger, {"data": [[1, at]], "k": {"n": 1}}) for at in (2, 3)]
    for _ in range(2):
        assert merger.run(**merger.arguments(payloads)) == ([2, 3], 2)


def test_two_arrays_need_as_many_rows() -> None:
    _, merger = of(both, data=FOUR, k=NumpyParameterType(np.array([1])))
    data, k = given(merger, {"data": [[1, 2]], "k": [1]}, {"data": [[3, 4], [5, 6]], "k": [2, 3]})
    assert data.shape == (3, 2)
    assert k.tolist() == [1, 2, 3]
    assert merger.payload(post('{"data": [[1, 2]], "k": [1, 2]}', JSON_META)) is None
    assert merger.payload(post('{"data": [[1, 2]]}', JSON_META)) is None  # k has a default that is no list


@pytest.mark.parametrize("orjson", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"data": [[1,,2]]}',
        b'{"data": [[01, 2]]}',
        b"{}",
        b'{"other": 1}',
        b'"\xff"',
        b'{"data": [[1, 2]]}',
        '{"data": [[1, 2]]}'.encode("utf-16"),
        b'\xef\xbb\xbf{"data": [[1, 2]]}',
        b'{"data": [[1e400, NaN]]}',
        b'{"data": [[1, 18446744073709551617]]}',
        b'{"data": [[1, 2]], "data": [[3, 4]]}',
        b"[" * 100000,
    ],
)
def test_bodies_are_taken_and_refused_as_without_merging(
    body: bytes, orjson: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not orjson:
        monkeypatch.setitem(sys.modules, "orjson", None)
    script, merger = of(same, data=FOUR)
    for meta in (JSON_META, b""):
        request = post(body, meta)
        expected, found = outcome(script.arguments, request), outcome(merger.payload, request)
        if isinstance(expected, BadInput):
            assert isinstance(found, BadInput)
            assert found.args == expected.args
            assert found.answer.body == expected.answer.body
            assert found.answer.status == expected.answer.status
        elif found is not None:
            assert json.dumps(found.value) == json.dumps(expected)


def outcome(function: Any, request: Request) -> Any:
    try:
        return function(request)
    except BadInput as refused:
        return refused


def test_compressed_and_get() -> None:
    _, merger = of(same, data=FOUR)
    meta = JSON_META + b"\ncontent-encoding: gzip"
    assert merger.payload(post(gzip.compress(b'{"data": [[1, 2]]}'), meta)) == payload(
        merger, {"data": [[1, 2]]}
    )
    request = post(b"", JSON_META)
    request.method = "GET"
    assert merger.payload(request) is None


def test_padding() -> None:
    module = module_of(
        run=decorated(same, data=NumpyParameterType(np.array([[1, 2]]), True, False)), BATCH_PAD={"data": 7}
    )
    _, merger = script_of(module)
    assert given(merger, {"data": [[1]]}, {"data": [[1, 2, 3]]}).tolist() == [[1, 7, 7], [1, 2, 3]]
    assert payload(merger, {"data": [[1, 2, 3]]}).length == 3


def test_what_the_decorators_were_told_is_found_behind_other_decorators() -> None:
    def plain(data: Any, k: Any = 1) -> Any:
        return data

    run = decorated(plain, data=FOUR, k=(StandardPythonParameterType(1), False, True))
    run = output_schema(FOUR)(run)

    @functools.wraps(run)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return run(*args, **kwargs)

    found = declarations(outer)
    assert found["data"] == (FOUR, True, False)
    assert found["k"][1:] == (False, True)
    assert declarations(plain) == {}
    assert declarations(len) == {}
