"""One result cut into one per request, with everything a script may return."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from inference_server.scoring.batching.payload import NotSplittable
from inference_server.scoring.batching.split import Splitter
from inference_server.scoring.results import answer
from tests.tools import require_module


def sent(result: Any) -> Any:
    """The body a caller gets for a result."""
    return answer(result).body


@pytest.mark.parametrize(
    "of",
    [
        list,
        tuple,
        lambda rows: [{"label": f"l{row}", "score": row / 3} for row in rows],
        np.array,
        lambda rows: np.array(rows, dtype=np.float32).reshape(-1, 1),
        lambda rows: np.array([str(row) for row in rows]),
        lambda rows: pd.Series(rows, index=[f"i{row}" for row in rows]),
        lambda rows: pd.DataFrame({"a": rows, "b": [str(row) for row in rows]}, index=rows),
        pd.Index,
        lambda rows: pd.array(rows, dtype="Int64"),
        lambda rows: {"result": list(rows), "model": "m", "size": 3, "empty": [], "none": None},
        lambda rows: {
            "result": np.array(rows),
            "nested": {"deep": {"more": list(rows)}, "fixed": [1, 2, 3, 4, 5]},
        },
        lambda rows: OrderedDict(result=pd.Series(rows), b=True),
        lambda rows: json.dumps(list(rows)),
        lambda rows: json.dumps(
            {"result": [[row, row / 7] for row in rows], "a": "é", "classes": [1, 2, 3, 4, 5]}
        ),
        lambda rows: json.dumps({"é": [str(row) + "\u2603" for row in rows]}, ensure_ascii=False, indent=2),
        lambda rows: json.dumps(
            {"b": list(rows), "a": {"c": [None] * len(rows)}}, sort_keys=True, separators=(",", ":")
        ),
        lambda rows: " " + json.dumps([float("nan")] * len(rows), indent=1) + "\n",
        lambda rows: pd.DataFrame({"a/b": rows, "c": [0.1] * len(rows)}).to_json(orient="records"),
        lambda rows: pd.DataFrame({"a": rows}).to_json(orient="split", index=False),
    ],
)
def test_each_request_gets_what_it_gets_alone(of: Any) -> None:
    splitter = Splitter()
    for counts in ([1, 1], [2, 1, 3], [1] * 7, [4, 1], [1, 4]):
        ends = np.cumsum(counts).tolist()
        parts = [list(range(end - count, end)) for count, end in zip(counts, ends, strict=True)]
        for part, count in zip(parts, counts, strict=True):
            alone = of(part)
            assert splitter.split(alone, [count])[0] is alone
        pieces = splitter.split(of(list(range(ends[-1]))), counts)
        assert [sent(piece) for piece in pieces] == [sent(of(part)) for part in parts]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ([1, 2], "wrong length: run() returned 2 results for 3 rows"),
        ([], "wrong length"),
        (np.arange(4), "wrong length: run() returned 4"),
        (np.array(5), "a ndarray"),
        (None, "a NoneType"),
        (5, "an? int"),
        (2.5, "float"),
        (b"[1,2,3]", "bytes"),
        ({1, 2, 3}, "set"),
        (iter([1, 2, 3]), "iterator"),
        ("abc", "neither a JSON list nor"),
        ("", "neither"),
        ("5", "neither"),
        ("[1,2,3] x", "neither"),
        ("[1,2,3,]", "neither"),
        ('{"a": [1,2,3],}', "neither"),
        ('{"a" [1,2,3]}', "neither"),
        ("[1,2,3", "neither"),
        ("[1,2]", "wrong length"),
        ("[]", "wrong length"),
        ('{"a": [1,2,3], "a": [1,2,3]}', "'a' twice"),
        ('{"a": 1}', "nothing has one item"),
        ({"mean": 3.0}, "nothing has one item for each of 3 rows"),
        ({}, "nothing"),
        ({"a": [1, 2]}, "nothing"),
        ("[" * 100000, "neither"),
    ],
)
def test_what_cannot_be_cut(result: Any, reason: str) -> None:
    with pytest.raises(NotSplittable, match=reason.replace("(", r"\(").replace(")", r"\)")):
        Splitter().split(result, [1, 2])
    assert Splitter().split(result, [3]) == [result]  # a single request has it all


def test_responses_are_not_cut() -> None:
    require_module("flask")
    import flask

    for response in (flask.Response("[1, 2]"), answer([1, 2])):
        with pytest.raises(NotSplittable):
            Splitter().split(response, [1, 1])


def test_a_list_of_constants_is_learned_from_single_requests() -> None:
    for form in (lambda value: value, json.dumps):
        splitter = Splitter()
        alone = form({"classes": ["a", "b"], "labels": [0]})
        assert splitter.split(alone, [1]) == [alone]
        merged = splitter.split(form({"classes": ["a", "b"], "labels": [0, 1]}), [1, 1])
        assert merged == [form({"classes": ["a", "b"], "labels": [label]}) for label in (0, 1)]


@pytest.mark.parametrize("form", [lambda value: value, json.dumps])
def test_what_is_cut_once_must_be_cut_always(form: Any) -> None:
    splitter = Splitter()
    assert splitter.split(form({"a": [1, 2]}), [1, 1]) == [form({"a": [1]}), form({"a": [2]})]
    with pytest.raises(NotSplittable, match="wrong length: 'a' has 2 items for 3 rows"):
        splitter.split(form({"a": [1, 2], "b": [1, 2, 3]}), [1, 1, 1])
    assert splitter.split(form({"a": []}), [1]) == [form({"a": []})]  # one request may have what it likes
    with pytest.raises(NotSplittable, match="wrong length"):
        splitter.split(form({"a": []}), [1, 1])


@pytest.mark.parametrize("form", [lambda value: value, json.dumps])
def test_what_was_a_constant_must_stay_one(form: Any) -> None:
    splitter = Splitter()
    splitter.split(form({"kept": [1]}), [2])  # such as a script that drops one of two rows
    with pytest.raises(NotSplittable, match="'kept' had 1 items before and has 2 now, for 2 rows"):
        splitter.split(form({"kept": [1, 2]}), [1, 1])


@pytest.mark.parametrize("form", [lambda value: value, json.dumps])
def test_what_is_said_beside_the_rows_must_not_change(form: Any) -> None:
    splitter = Splitter()
    usual = {"rows": [1, 2], "bad": [], "error": None, "nested": {"version": 3}}
    for _ in range(2):
        splitter.split(form(usual), [1, 1], "key")
    for change in (
        {"bad": [1]},
        {"bad": [1, 2]},
        {"error": "row 1"},
        {"nested": {"version": 4}},
        {"more": 1},
    ):
        with pytest.raises(NotSplittable, match=r"beside the rows|items before"):
            splitter.split(form({**usual, **change}), [1, 1], "key")
    splitter.split(form(usual), [1, 1], "key")
    splitter.split(form({**usual, "error": "another"}), [1, 1], "another key")


@pytest.mark.parametrize("form", [lambda value: value, json.dumps])
def test_nothing_is_learned_from_an_error(form: Any) -> None:
    splitter = Splitter()
    failed = form({"rows": [], "error": "a row is bad", "rows_seen": [7]})
    assert splitter.split(failed, [1]) == [failed]
    with pytest.raises(NotSplittable):
        splitter.split(failed, [1, 1])
    assert len(splitter.split(form({"rows": [1, 2], "error": None}), [1, 1])) == 2


def test_values_without_a_json_form() -> None:
    with pytest.raises(NotSplittable, match="no JSON form"):
        Splitter().split({"rows": [1, 2], "x": object()}, [1, 1])
