"""What counts as the same answer: everything exactly, but floats within what their type leaves open."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from inference_server.scoring.answer import BYTES, JSON, TEXT, Answer
from inference_server.scoring.batching.compare import difference
from inference_server.scoring.results import answer


def of(value: Any) -> Answer:
    return Answer(200, JSON, json.dumps(value).encode())


def differ(one: Any, other: Any) -> str:
    assert bool(difference(of(one), of(other))) == bool(difference(of(other), of(one)))
    return difference(of(one), of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, None),
        (10**30, 10**30 + 1),
        ("a", "b"),
        ([1, 2], [1, 3]),
        ([1, 2], [1, 2, 3]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 1}),
        ([[1], [2]], [[1], [2.0]]),
        (float("nan"), 1.0),
        (float("inf"), float("-inf")),
        (0.1, 0.10000001),
        (0.123, 0.125),
        (100.0, 101.0),
        (100.25, 100.5),
        (2.5, 3.5),
        (1000000.0, 1000001.0),
        (1791234567.123456, 1791234567.124456),  # the time, a millisecond later
        (0.30000001192092896, 0.3000500202178955),  # single precision
        ('{"a": 1}', '{"a": 2}'),
        ("[1", "[2"),
        ("[0.5]", "[0.75]"),
    ],
)
def test_what_differs(one: Any, other: Any) -> None:
    assert differ(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (0.0, -0.0),
        (0.1 + 0.2, 0.3),
        (1e300 * (1 + 3e-16), 1e300),
        (5e-13, 4e-13),
        (0.30000001192092896, 0.30000004172325134),
        (0.0999755859375, 0.10003662109375),  # half precision
        (0.345703125, 0.34765625),  # bfloat16
        (0.1234, 0.1235),  # rounded by the script
        ('[0.30000000000000004, "a"]', '[0.3, "a"]'),
    ],
)
def test_what_is_the_same(one: Any, other: Any) -> None:
    assert differ(one, other) == ""
    assert differ({"x": [one]}, {"x": [other]}) == ""


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_products_in_another_order(kind: Any) -> None:
    """A matrix product row by row and at once, as a model computes it."""
    rng = np.random.default_rng(3)
    rows, weights = rng.normal(size=(64, 100)).astype(kind), rng.normal(size=(100, 10)).astype(kind) / 10
    together = np.tanh((rows @ weights).astype(kind))
    for row, merged in zip(rows, together, strict=True):
        shuffled = rng.permutation(100)
        single = np.tanh((row[shuffled] @ weights[shuffled]).astype(kind))
        found = difference(answer(single), answer(merged))
        assert found == "" or kind is np.float16, (
            found
        )  # one term of 100 may cost a half its last three digits


def test_any_relative_error_that_matters_is_seen() -> None:
    rng = random.Random(5)
    for _ in range(300):
        value = rng.gauss(0, 1) * 10 ** rng.randint(-3, 6)
        assert differ(value, value * 1.0001)
        single = float(np.float32(value))
        assert differ(single, float(np.float32(single * 1.001 + math.copysign(1e-4, single))))


def test_what_is_told() -> None:
    one, other = of({"a": [{"b": 0.5}, {"b": 1.5}]}), of({"a": [{"b": 0.5}, {"b": 2.5}]})
    assert difference(one, other) == "a[1].b: 1.5 alone, 2.5 in a batch"
    assert difference(of(1), of(2)) == "body: 1 alone, 2 in a batch"
    assert difference(of([1]), of([1, 2])) == "length: 1 alone, 2 in a batch"
    assert len(difference(of({"k" * 500: "a" * 1000}), of({"k" * 500: "b" * 1000}))) < 400


def test_the_rest_of_an_answer() -> None:
    one = of(1)
    for other in (
        Answer(201, JSON, b"1"),
        Answer(200, TEXT, b"1"),
        Answer(200, JSON, b"1", failed=True),
        Answer(200, JSON, b"1", headers=[("A", "b")]),
        Answer(200, JSON, iter([b"1"])),
        Answer(200, JSON, b"1" + b"[" * 100000),
    ):
        assert difference(one, other)
    assert difference(Answer(200, BYTES, b"\xff\x00"), Answer(200, BYTES, b"\xff\x00")) == ""
    assert "alone" in difference(Answer(200, BYTES, b"\xff\x00"), Answer(200, BYTES, b"\xff\x01"))
    assert difference(Answer(200, TEXT, b"a"), Answer(200, TEXT, b"b"))
