"""Names and paths of fields: what they are read as, and what they find."""

from __future__ import annotations

from typing import Any

import pytest

from inference_server import fields


def marked(words: str, value: Any) -> Any:
    return fields.parse(words).changed(value, lambda old: "*")


@pytest.mark.parametrize(
    ("words", "value", "expected"),
    [
        ("ssn", {"SSN": 1, "a": [{"ssn": {"deep": 2}}]}, {"SSN": "*", "a": [{"ssn": "*"}]}),
        ("$..ssn", {"a": {"ssn": 1}}, {"a": {"ssn": "*"}}),
        ("$.a.b", {"a": {"b": 1, "c": 2}, "b": 3}, {"a": {"b": "*", "c": 2}, "b": 3}),
        ("$.rows.x", {"rows": [{"x": 1}, {"x": 2}]}, {"rows": [{"x": "*"}, {"x": "*"}]}),
        ("$.rows[*].x", {"rows": [{"x": 1}, {"y": 2}]}, {"rows": [{"x": "*"}, {"y": 2}]}),
        ("$.rows[1]", {"rows": [1, 2, 3]}, {"rows": [1, "*", 3]}),
        ("$[0].x", [{"x": 1}, {"x": 2}], [{"x": "*"}, {"x": 2}]),
        ("$['a b'].c", {"a b": {"c": 1}}, {"a b": {"c": "*"}}),
        ("$.a.*", {"a": {"b": 1, "c": 2}}, {"a": {"b": "*", "c": "*"}}),
        ("$.a", {"a": {"b": 1}}, {"a": "*"}),
        ("a,$.b.c", {"b": {"a": 1, "c": 2, "d": 3}}, {"b": {"a": "*", "c": "*", "d": 3}}),
        ("ssn", {"data": '{"ssn": 1, "b": "ä"}'}, {"data": '{"ssn": "*", "b": "ä"}'}),
        ("ssn", {"data": '{"b":1}', "text": "{no json"}, {"data": '{"b":1}', "text": "{no json"}),
        ("", {"a": 1}, {"a": 1}),
    ],
)
def test_fields_are_found(words: str, value: Any, expected: Any) -> None:
    assert marked(words, value) == expected


@pytest.mark.parametrize("words", ["$", "$.", "$.a.", "$[x]", "$.a b", "ssn,$.a["])
def test_a_path_that_cannot_be_read_is_named(words: str) -> None:
    with pytest.raises(
        ValueError, match=r"expects names and paths such as ssn or \$\.customer\.ssn, got '\$"
    ):
        fields.parse(words)


def test_what_nests_too_deep_is_not_looked_into() -> None:
    value: Any = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(fields.TooDeep):
        marked("ssn", value)
