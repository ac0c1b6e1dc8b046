"""The text of a variable, cut into plain text and references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.secrets.reference import Reference, Unresolved, has_reference, pieces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${{secret:pw}}", [Reference("secret", "pw")]),
        ("${{ secret:pw\n}}", [Reference("secret", "pw")]),
        ("postgres://u:${{secret:pw}}@h/${{env:DB}}", ["postgres://u:", Reference("secret", "pw"), "@h/", Reference("env", "DB")]),
        ("${{azureml://connections/c/target}}", [Reference("azureml", "//connections/c/target")]),
        ("${{keyvault:https://v/secrets/n}}", [Reference("keyvault", "https://v/secrets/n")]),
        ("$${{secret:pw}} ${{secret:pw}}", ["${{secret:pw}}", " ", Reference("secret", "pw")]),
        ("$${{ never ends", ["${{ never ends"]),
        ("{{secret:pw}} ${secret} }}", ["{{secret:pw}} ${secret} }}"]),
        ("", []),
    ],
)  # fmt: skip
def test_what_is_found(text: str, expected: list[object]) -> None:
    assert pieces(text) == expected


def test_a_reference_reads_as_it_is_written() -> None:
    assert str(Reference("azureml", "//connections/c/target")) == "${{azureml://connections/c/target}}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hunter2 ${{secret:hunter2", "never ends with }}"),
        ("${{secret:a}} ${{hunter2", "never ends with }}"),
        ("${{hunter2}}", "of a kind that does not exist"),
        ("${{hunter2:hunter2}}", "of a kind that does not exist"),
        ("${{}}", "of a kind that does not exist"),
        ("${{vault:}} hunter2", "without a place: write ${{vault:PATH#FIELD}}"),
    ],
)
def test_what_is_malformed_is_refused_without_being_shown(text: str, sentence: str) -> None:
    with pytest.raises(Unresolved) as refused:
        pieces(text)
    assert sentence in str(refused.value)
    assert "hunter2" not in str(refused.value)


@given(st.text(alphabet="${}:ab secret\n"))
def test_any_text_is_cut_or_refused(text: str) -> None:
    try:
        found = pieces(text)
    except Unresolved:
        assert has_reference(text)
        return
    if not has_reference(text):
        assert found == ([text] if text else [])


@given(st.text())
def test_what_is_escaped_comes_out_as_it_was(text: str) -> None:
    if "$" in text or "}" in text:
        return
    assert "".join(map(str, pieces(f"$${{{{{text}}}}}"))) == f"${{{{{text}}}}}"
