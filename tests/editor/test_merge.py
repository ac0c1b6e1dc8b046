"""JSON with comments: read, and filled up without touching what is there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.editor.jsonc import NotJson, parse
from inference_server.editor.merge import merged

NAMED = {"list": "name"}

plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from(["a", "b", "list", "//", "{"]), values, max_size=4)
comments = st.sampled_from(["", " ", "\n", '// {"a": [\n', "/* , ] } */", "\t/**/ // x\n"])


@st.composite
def commented(draw: Any, value: Any) -> str:
    """`value` as text, with comments, blanks and trailing commas wherever they may stand."""

    def blank() -> str:
        return str(draw(comments))

    def text(value: Any) -> str:
        if not isinstance(value, (dict, list)):
            return json.dumps(value)
        if isinstance(value, dict):
            parts = [f"{json.dumps(key)}{blank()}:{blank()}{text(item)}" for key, item in value.items()]
        else:
            parts = [text(item) for item in value]
        inside = ",".join(blank() + part + blank() for part in parts)
        trailing = "," + blank() if parts and draw(st.booleans()) else blank()
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return opening + inside + trailing + closing

    return blank() + text(value) + blank()


def filled(there: Any, wanted: Any) -> Any:
    """What merging means, without any text."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        return {
            **{key: filled(there[key], wanted[key]) if key in wanted else there[key] for key in there},
            **{key: wanted[key] for key in wanted if key not in there},
        }
    if isinstance(there, list) and isinstance(wanted, list):
        return there + [item for item in wanted if item not in there]
    return there


@given(st.data(), objects, objects)
def test_any_document_is_filled_up_and_keeps_its_comments(
    data: st.DataObject, there: Any, wanted: Any
) -> None:
    before = data.draw(commented(there))
    assert parse(before).value == there
    after = merged(before, wanted, {})
    assert json.dumps(parse(after).value) == json.dumps(filled(there, wanted))
    assert comments_of(before) == comments_of(after) or "/" in json.dumps([there, wanted])
    assert merged(after, wanted, {}) == after


def comments_of(text: str) -> list[str]:
    return re.findall(r"//[^\n]*|/\*.*?\*/", text)


BEFORE = """\
{
\t// by hand
\t"version": "0.1", // ours would be another
\t"list": [
\t\t{ "name": "one", "mine": true }, // first
\t\t{ "name": "two" } // last, no comma
\t\t// the end
\t],
\t"empty": [ ],
}
"""
AFTER = """\
{
\t// by hand
\t"version": "0.1", // ours would be another
\t"list": [
\t\t{ "name": "one", "mine": true }, // first
\t\t{ "name": "two" }, // last, no comma
\t\t// the end
\t\t{"name": "three", "deep": {"a": [1, 2]}}
\t],
\t"empty": [
\t\t1
\t],
\t"new": {"b": null}
}
"""
WANTED = {
    "version": "2",
    "list": [{"name": "one"}, {"name": "three", "deep": {"a": [1, 2]}}],
    "empty": [1],
    "new": {"b": None},
}


def test_the_layout_that_is_there_is_followed() -> None:
    assert merged(BEFORE, WANTED, NAMED) == AFTER
    assert merged(AFTER, WANTED, NAMED) == AFTER
    assert merged(BEFORE.replace("\n", "\r\n"), WANTED, NAMED) == AFTER.replace("\n", "\r\n")


def test_ours_are_replaced_on_request() -> None:
    after = merged(BEFORE, WANTED, NAMED, replace=True)
    assert '\t\t{"name": "one"}, // first\n' in after
    assert '{ "name": "two" }' in after
    assert merged(after, WANTED, NAMED, replace=True) == after


@pytest.mark.parametrize("text", ["", "  \n", "\ufeff"])
def test_an_empty_file_becomes_ours(text: str) -> None:
    assert merged(text, {"a": [1]}, {}) == '{"a": [1]}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: expected a name in double quotes, found the end"),
        ('{\n"a" 1}', "line 2: expected a colon, found '1}'"),
        ('{"a": 1 "b": 2}', "expected a comma or }"),
        ("[1] x", "expected nothing more, found 'x'"),
        ("{'a': 1}", "expected a name in double quotes"),
        ('{"a": NaN}', "expected a value, found 'NaN}'"),
        ('{"a": "\\x"}', "expected a value"),
        ("[" * 1000, "expected fewer levels"),
        ("/* no end", "expected a value"),
    ],
)
def test_what_is_not_json_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(NotJson, match=re.escape(said)):
        merged(text, {}, {})


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(TypeError, match="an object is expected"):
        merged("[]", {"a": 1}, {})
