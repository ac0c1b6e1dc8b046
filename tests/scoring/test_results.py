"""What run() returns and what is sent for it, without any script."""

from __future__ import annotations

import datetime
import decimal
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.scoring import encode, results
from inference_server.scoring.answer import Answer
from inference_server.scoring.encode import to_json
from inference_server.scoring.errors import Unserializable, UserScriptError
from inference_server.scoring.results import answer
from inference_server.scoring.streams import Stream


def body_of(result: Any) -> bytes:
    found = answer(result)
    assert (found.status, found.failed, list(found.headers)) == (200, False, [])
    assert isinstance(found.body, bytes)
    return found.body


def as_json(result: Any) -> str:
    found = answer(result)
    assert found.content_type == "application/json"
    return body_of(result).decode()


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"a": [1, 2.5, None, True], 1: "é"}, '{"a": [1, 2.5, null, true], "1": "\\u00e9"}'),
        ([], "[]"),
        (("body", 418), '["body", 418]'),
        ("text", '"text"'),
        ('{"a": 1}', '"{\\"a\\": 1}"'),
        (5, "5"),
        (True, "true"),
        (None, "{}"),
        (float("nan"), "NaN"),
        ([float("inf")], "[Infinity]"),
    ],
)
def test_plain_values_are_json(result: Any, expected: str) -> None:
    assert as_json(result) == expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (np.float64(1.5), "1.5"),
        (np.float32(0.5), "0.5"),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (np.str_("x"), '"x"'),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (np.array(7), "7"),
        ({"p": np.array([0.5]), "n": np.int32(1)}, '{"p": [0.5], "n": 1}'),
        (np.datetime64("2026-01-31T09:15"), '"2026-01-31T09:15"'),
        (np.array(["2026-01-31", "NaT"], "M8[ns]"), '["2026-01-31T00:00:00.000000000", null]'),
        (np.array([1, "a", None], object), '[1, "a", null]'),
        (np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]), "[[1, 2.5]]"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), None),
        (pd.Series([1, 2]), "[1, 2]"),
        (pd.Index(["a"]), '["a"]'),
        (pd.Timestamp("2026-01-31 09:15"), '"2026-01-31T09:15:00"'),
        ([pd.NaT, pd.NA], "[null, null]"),
        (pd.array([1, None], dtype="Int64"), "[1, null]"),
    ],
)
def test_numpy_and_pandas_values_are_json(result: Any, expected: str | None) -> None:
    if expected is None:
        assert json.loads(as_json(result))[0] == {"a": 1, "b": "x"}
    else:
        assert as_json(result) == expected


class Odd:
    pass


CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)


@pytest.mark.parametrize(
    "result",
    [
        {1, 2},
        datetime.datetime(2026, 1, 31),
        decimal.Decimal("1.5"),
        Odd(),
        {(1, 2): 3},
        {"a": b"bytes inside"},
        [Odd()],
        CIRCULAR,
        1j,
        np.complex64(1),
        np.timedelta64(1, "s"),
    ],
)
def test_values_without_a_form_are_named(result: Any) -> None:
    with pytest.raises(Unserializable, match=f"run\\(\\) returned a {type(result).__name__} that cannot"):
        answer(result)


def test_a_failed_encoding_leaves_nothing_behind() -> None:
    shared = {"x": [1]}
    for _ in range(3):
        with pytest.raises(Unserializable):
            answer({"shared": shared, "bad": Odd()})
        assert as_json({"shared": shared}) == '{"shared": {"x": [1]}}'


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_json_is_spelled_as_json_dumps_spells_it(value: Any) -> None:
    assert to_json(value) == json.dumps(value)


def test_without_the_c_encoder_json_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_encode", None)
    assert to_json({"a": np.int64(1), "b": [None, "é"]}) == '{"a": 1, "b": [null, "\\u00e9"]}'


@pytest.mark.parametrize("result", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_bytes_are_sent_as_they_are(result: Any) -> None:
    assert body_of(result) == b"\x00\xff"
    assert answer(result).content_type == "application/octet-stream"


# ---------------------------------------------------------------- generators


def streamed(found: Answer) -> list[bytes]:
    assert not isinstance(found.body, bytes)
    return list(found.body)


@pytest.mark.parametrize(
    ("items", "content_type", "chunks"),
    [
        (["a", "é"], "text/plain; charset=utf-8", [b"a", "é".encode()]),
        ([b"a", "b"], "application/octet-stream", [b"a", b"b"]),
        ([{"a": 1}, np.int64(2), "x"], "application/x-ndjson", [b'{"a": 1}\n', b"2\n", b'"x"\n']),
        ([], "text/plain; charset=utf-8", []),
    ],
)
def test_generators_are_streamed(items: list[Any], content_type: str, chunks: list[bytes]) -> None:
    async def later() -> AsyncIterator[Any]:
        for item in items:
            yield item

    for source in (iter(items), (item for item in items), later()):
        found = answer(source)
        assert found.content_type == content_type
        assert streamed(found) == chunks


def test_a_generator_that_fails_at_once_fails_before_anything_is_sent() -> None:
    def broken() -> Iterator[str]:
        raise ValueError("at once")
        yield ""

    with pytest.raises(UserScriptError) as caught:
        answer(broken())
    assert isinstance(caught.value.__cause__, ValueError)
    assert "ValueError: at once" in caught.value.summary


def test_a_text_stream_that_yields_something_else_breaks() -> None:
    found = answer(iter(["a", 1]))
    assert not isinstance(found.body, bytes)
    assert next(found.body) == b"a"
    with pytest.raises(TypeError, match="yielded a int"):
        next(found.body)


@pytest.mark.parametrize("read", [0, 1])
def test_closing_a_stream_closes_the_generator(read: int) -> None:
    closed = []

    def source() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    stream = Stream(source(), on_close=lambda: closed.append(True))
    for _ in range(read):
        next(stream)
    stream.close()
    stream.close()
    assert closed == [True, True]
    assert list(stream) == []


def test_an_awaitable_result_is_awaited() -> None:
    async def inner() -> dict[str, int]:
        return {"a": 1}

    assert answer(inner()).body == b'{"a": 1}'


# ---------------------------------------------------------------- the hint


def test_a_string_that_is_json_already_gets_one_hint(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_hint_tries", 10)
    with caplog.at_level(logging.INFO, "azmlinfsrv"):
        for result in ("text", "{not json", '{"a": 1}', '{"a": 1}', "[1]"):
            answer(result)
    assert [record.message for record in caplog.records] == [results._HINT]
