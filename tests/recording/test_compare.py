"""Where two answers differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference_server.recording.compare import MISSING, Tolerance, differences

USUAL = Tolerance()


def found(then: Any, now: Any, tolerance: Tolerance = USUAL) -> list[tuple[str, Any, Any]]:
    one, other = (json.dumps(value).encode() for value in (then, now))
    return [tuple(difference) for difference in differences(one, other, tolerance)]


def test_all_places_are_named_with_both_values() -> None:
    then = {"a": [1, {"b": 2}], "gone": True, "a b": 1}
    now = {"a": [1, {"b": 3}], "new": None, "a b": 2}
    assert found(then, now) == [
        ("$.a[1].b", 2, 3),
        ("$.gone", True, MISSING),
        ('$["a b"]', 1, 2),
        ("$.new", MISSING, None),
    ]


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        (1.0, 1.000001, True),
        (1.0, 1.001, False),
        (0.0, 1e-9, True),
        (1, 2, False),
        (10**9, 10**9 + 1, False),  # a whole number is a count or a class
        (1, 1.0, True),
        (True, 1, False),
        (float("nan"), float("nan"), True),
        (float("inf"), 1.0, False),
        (10**400, 1.5, False),
        ("1", 1, False),
    ],
)
def test_numbers_within_the_tolerance_are_the_same(then: Any, now: Any, same: bool) -> None:
    assert (found(then, now) == []) is same


def test_the_tolerance_can_be_chosen() -> None:
    assert found([100.0], [101.0], Tolerance(0.02, 0.0)) == []
    assert found([100.0], [101.0], Tolerance(0.0, 1.0)) == []
    assert found([100.0], [101.0], Tolerance(0.0, 0.0)) == [("$[0]", 100.0, 101.0)]


def test_lists_of_other_lengths_and_json_in_a_string() -> None:
    assert found({"a": [1, 2]}, {"a": [1]}) == [("$.a", "2 items", "1 items")]
    assert found('{"a": 1.0}', '{"a": 2.0}') == [("$.a", 1.0, 2.0)]
    assert found('{"a": 1.0}', '{"a":1.0000001}') == []


def test_what_is_no_json_is_compared_as_it_is() -> None:
    (one,) = differences(b"yes", b"no", Tolerance())
    assert one == ("body", "yes", "no")
    (one,) = differences(b"\xff\xfe", b"{}", Tolerance())
    assert one == ("body", "(2 bytes)", "{}")
