"""-o and --query: the forms in which az prints an answer."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from inference_server.cli.azure_output import add_output_flags, show, written
from inference_server.errors import InferenceServerError

ANSWER = {
    "name": "blue",
    "id": "/subscriptions/…/blue",
    "type": "Managed",
    "instance_count": 2,
    "tags": {"team": "search"},
    "zones": ["a", "b"],
    "app_insights_enabled": False,
    "description": None,
}
LIST = [{"name": "blue", "weight": 90}, {"name": "a-longer-name", "weight": 10, "note": "x"}]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        ({"b": "é", "a": [1, {}]}, "json", '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": "é"\n}'),
        ("blue", "json", '"blue"'),
        ([], "json", "[]"),
        ({"b": "é", "a": [1, {"c": None}]}, "yaml", "a:\n- 1\n- c: null\nb: é"),
        (ANSWER, "tsv", "False\tNone\t/subscriptions/…/blue\t2\tblue\t\tManaged\t2"),
        (LIST, "tsv", "blue\t90\na-longer-name\tx\t10"),
        (["blue", 1, True], "tsv", "blue\n1\nTrue"),
        ([["blue", 90], ["green", 10]], "tsv", "blue\t90\ngreen\t10"),
        ("blue", "table", "Result\n--------\nblue"),
        ([["blue", 90]], "table", "Column1    Column2\n---------  ---------\nblue       90"),
        (
            ANSWER,
            "table",
            "App_insights_enabled    Instance_count    Name\n"
            "----------------------  ----------------  ------\n"
            "False                   2                 blue",
        ),
        (
            LIST,
            "table",
            "Name           Weight    Note\n"
            "-------------  --------  ------\n"
            "blue           90\n"
            "a-longer-name  10        x",
        ),
        ([], "table", ""),
        (ANSWER, "none", ""),
        (None, "json", ""),
    ],
)
def test_forms(value: Any, form: str, text: str) -> None:
    ordered = value is LIST
    assert written(value, form, ordered) == text


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_output_flags(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--query", "name", "-o", "tsv"], "blue\n"),
        (
            ["--query", "{count: instance_count, which: name}", "-o", "table"],
            "Count    Which\n-------  -------\n2        blue\n",
        ),
        (["--query", "zones[?@ != 'a']"], '[\n  "b"\n]\n'),
        (["--query", "nothing", "-o", "json"], ""),
        (["--query", "nothing", "-o", "tsv"], ""),
    ],
)
def test_queries(words: list[str], text: str, capfd: pytest.CaptureFixture[str]) -> None:
    show(ANSWER, asked(*words))
    assert capfd.readouterr().out == text


def test_queries_that_are_none(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked("--query", "a[")
    assert "--query: 'a[' is no JMESPath" in capfd.readouterr().err
    with pytest.raises(InferenceServerError, match="--query does not fit this answer"):
        show(ANSWER, asked("--query", "length(nothing)"))


def test_control_characters_do_not_reach_the_terminal_of_a_table() -> None:
    assert "\x1b" not in written({"name": "\x1b[2J"}, "table")
