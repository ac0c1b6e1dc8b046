"""What is taken out of a recorded request, and what is left out where that cannot be done."""

from __future__ import annotations

import json

import pytest

from inference_server import fields
from inference_server.recording.redaction import MARK, NOT_READABLE, Redaction, Removed, Unreadable


def redaction(words: str = "") -> Redaction:
    return Redaction(fields.parse(words))


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey"),
        *(
            "ocp-apim-subscription-key",
            "x-functions-key",
            "x-auth-token",
            "x-amz-security-token",
            "x-csrf-token",
        ),
        *(
            "x-client-secret",
            "x-password",
            "x-forwarded-client-cert",
            "x-ms-client-principal",
            "x-session-id",
        ),
    ],
)
def test_headers_that_carry_secrets_are_never_kept(name: str) -> None:
    removed = Removed()
    assert redaction().headers([(name, "abcdef")], removed) == [(name, MARK)]
    assert removed.names == [name.lower()]


@pytest.mark.parametrize(
    "name", ["content-type", "x-request-id", "x-max-tokens", "azureml-model-deployment", "x-tenant"]
)
def test_other_headers_are(name: str) -> None:
    assert redaction().headers([(name, "v")], Removed()) == [(name, "v")]


def test_headers_and_parameters_can_be_named() -> None:
    assert redaction("X-Tenant").headers([("x-tenant", "7")], Removed()) == [("x-tenant", MARK)]
    removed = Removed()
    target = redaction("name").target("/score?name=Eve&a=1&api_key=hello%20you&sig=abc&b", removed)
    assert target == f"/score?name={MARK}&a=1&api_key={MARK}&sig={MARK}&b"
    assert removed.values == ["hello you"]


def test_fields_of_bodies_are_marked_and_the_rest_is_kept_as_it_was() -> None:
    removed = Removed()
    body = b'{"ssn": "123-45", "a": [1.0, 2]}'
    assert json.loads(redaction("ssn").body(body, removed)) == {"ssn": MARK, "a": [1.0, 2]}
    assert removed.names == ["body"]
    assert removed.scrubbed("KeyError: '123-45'") == f"KeyError: '{MARK}'"
    untouched = b'{ "a":1e2,"b" : 12345678901234567890123 }'
    assert redaction("ssn").body(untouched, Removed()) == untouched
    assert redaction().body(b"\xff\x00", Removed()) == b"\xff\x00"


@pytest.mark.parametrize(
    "body",
    [
        b'{"\\u0073sn": 1}',
        b'{"ssn": 1, "half": "\\ud800"}',
        '{"ssn": 1}'.encode("utf-16"),
        b'{"a": NaN, "SSN": 1}',
        b'["{\\"ssn\\": 1}"]',
    ],
)
def test_a_field_cannot_hide(body: bytes) -> None:
    assert MARK.encode() in redaction("ssn").body(body, Removed())


def test_names_that_are_not_ascii_are_found_as_they_are_written() -> None:
    for body in (b'{"gr\\u00f6\\u00dfe": 183}', '{"größe": 183}'.encode()):
        assert b"183" not in redaction("größe").body(body, Removed())


@pytest.mark.parametrize("body", [b"ssn=1&b=2", b"\x1f\x8b\x08", b"a,b\n1,2", b'{"ssn": 1', b"[" * 100_000])
def test_a_body_in_which_fields_cannot_be_found_is_left_out(body: bytes) -> None:
    for words in ("ssn", "$.a.b", "password"):
        with pytest.raises(Unreadable, match=NOT_READABLE):
            redaction(words).body(body, Removed())


def test_who_names_a_header_loses_no_body() -> None:
    assert redaction("x-api-key,cookie,Authorization").body(b"a,b", Removed()) == b"a,b"
