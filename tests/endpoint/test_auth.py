"""Keys and the endpoint's own tokens; and that no header gives anything but a caller or a refusal."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference_server.endpoint.aml_token import AmlTokens, TokenLife, make_secret
from inference_server.endpoint.auth import ANYBODY, Allowed, Credentials, Guard, Refused
from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.keys import Keys, KeyType, make_key
from inference_server.endpoint.token_cache import TokenCache

PRIMARY, SECONDARY = KeyType.PRIMARY, KeyType.SECONDARY
SECRET = "s" * 32
NOW = 1_800_000_000.0


def bearer(token: str, scheme: str = "Bearer") -> bytes:
    return f"{scheme} {token}".encode()


def test_two_keys_of_which_one_at_a_time_is_replaced() -> None:
    old, other, new = make_key(), make_key(), make_key()
    keys = Keys({PRIMARY: old, SECONDARY: other})
    guard = Guard("e", keys)
    assert guard.check(bearer(old)) == Allowed("primary key", "Key")
    assert guard.check(bearer(other, "bEARER ")) == Allowed("secondary key", "Key")
    keys.replace(PRIMARY, new)
    assert isinstance(guard.check(bearer(old)), Refused)
    assert guard.check(bearer(new)) == Allowed("primary key", "Key")
    assert guard.check(bearer(other)) == Allowed("secondary key", "Key")
    assert old not in repr(vars(keys))
    assert new not in repr(vars(keys))
    assert len({make_key() for _ in range(100)}) == 100
    assert new.isalnum()
    for bad in ("", "a b", "é", "a\n"):
        with pytest.raises(BadArgument, match="a key may have"):
            keys.replace(PRIMARY, bad)
    assert guard.check(bearer(new)) == Allowed("primary key", "Key")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer\tKEY",
        b"Basic KEY",
        b"KEY",
        b"Bearer KEY,Bearer KEY",
        b"Bearer KEY ",
        b"Bearer KEY KEY",
        b"Bearer KEY\xff",
        b"Bearer KE",
        b"Bearer key",
        b"Bearer " + b"K" * 20_000,
    ],
)
def test_what_is_nearly_a_key_is_none(header: bytes) -> None:
    assert isinstance(Guard("e", Keys({PRIMARY: "KEY", SECONDARY: "other"})).check(header), Refused)


def test_a_refusal_is_401_and_a_line_of_the_log_without_what_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = Guard("shop", Keys({PRIMARY: "KEY", SECONDARY: "other"}))
    with caplog.at_level(logging.WARNING):
        for header in (None, b"Bearer guess1234", b"Basic guess1234"):
            verdict = guard.check(header)
            assert isinstance(verdict, Refused)
            answer = guard.refuse(verdict, "10.0.0.7:4711", "an-id")
            assert (answer.status, answer.headers) == (401, b"WWW-Authenticate: Bearer\r\n")
            assert json.loads(answer.body)["message"].startswith("The request is not authorized")
    assert [record.getMessage() for record in caplog.records] == [
        f"Refused: endpoint=shop auth_mode=key client=10.0.0.7:4711 request_id=an-id reason={reason}"
        for reason in (
            "no Authorization header",
            "it is not a key of this endpoint",
            "the Authorization header is no Bearer token",
        )
    ]


def test_without_credentials_everybody_comes_in() -> None:
    guard = Guard("e", None)
    assert guard.check(None) == guard.check(b"Bearer x") == ANYBODY


def test_an_issued_token_holds_until_it_expires_and_for_its_endpoint_only() -> None:
    now = NOW
    tokens = AmlTokens("shop", SECRET, TokenLife(expires=3600, refresh=1800))
    guard = Guard("shop", tokens, lambda: now)
    issued = tokens.issue("me", now)
    assert issued.credentials() == {
        "accessToken": issued.token,
        "tokenType": "Bearer",
        "expiryTimeUtc": "2027-01-15T09:00:00+00:00",
        "refreshAfterTimeUtc": "2027-01-15T08:30:00+00:00",
    }
    header = bearer(issued.token)
    for seconds in (0.0, 1.0, 3599.0):
        now = NOW + seconds
        assert guard.check(header) == Allowed("me", "AMLToken")
    assert isinstance(Guard("x", AmlTokens("other", SECRET), lambda: NOW).check(header), Refused)
    assert isinstance(Guard("x", AmlTokens("shop", make_secret()), lambda: NOW).check(header), Refused)
    now = NOW + 3600
    assert guard.check(header) == Refused("it has expired")
    assert tokens.issue("me", now).token != tokens.issue("me", now).token


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": None}, "it never expires"),
        ({"exp": NOW}, "it has expired"),
        ({"exp": "soon"}, "its exp is no time"),
        ({"exp": True}, "its exp is no time"),
        ({"exp": 1e999}, "its exp is no time"),
        ({"exp": 10**400}, "its exp is no time"),
        ({"nbf": NOW + 61}, "it is not valid yet"),
        ({"nbf": []}, "its nbf is no time"),
        ({"aud": "other"}, "it is for another audience"),
        ({"aud": {"shop": 1}}, "it is for another audience"),
        ({"aud": [["shop"], None]}, "it is for another audience"),
        ({"iss": "somebody"}, "it comes from another issuer"),
    ],
)
def test_what_a_token_must_say(changed: dict[str, Any], reason: str) -> None:
    claims = {"iss": "azmlinfsrv", "aud": "shop", "sub": "me", "exp": NOW + 600, **changed}
    claims = {name: value for name, value in claims.items() if value is not None}
    token = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET.encode())
    assert AmlTokens("shop", SECRET).check(token.encode(), NOW) == Refused(reason)


def test_tokens_that_are_not_signed_as_ours_are(caplog: pytest.LogCaptureFixture) -> None:
    claims = {"iss": "azmlinfsrv", "aud": "shop", "sub": "me", "exp": NOW + 600}
    tokens = AmlTokens("shop", SECRET)
    good = jwt.encode(claims, SECRET)
    assert tokens.check(good.encode(), NOW) == Allowed("me", "AMLToken")
    head, body, signature = good.split(".")
    unsigned = jwt.encode(claims, None, algorithm="none")
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=")
    for bad in (
        unsigned,
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{unsigned.split('.')[0]}.{body}.{signature}",
        jwt.encode(claims, SECRET * 2, algorithm="HS512"),
        f"{head}.{deep}.{signature}",
        jwt.api_jws.encode(b"[1]", SECRET.encode()),
        jwt.api_jws.encode(b"no json", SECRET.encode()),
        "...",
    ):
        verdict = tokens.check(bad.encode(), NOW)
        assert isinstance(verdict, Refused), bad
        assert "it is no token" in verdict.reason


def test_lives_and_secrets_that_cannot_be() -> None:
    with pytest.raises(BadArgument, match="32 characters or more"):
        AmlTokens("shop", "short")
    for life in (TokenLife(10, 5), TokenLife(3600, 3601), TokenLife(3600, 0)):
        with pytest.raises(BadArgument, match="the life of tokens must be 60 s or more"):
            AmlTokens("shop", SECRET, life)


def test_known_tokens_are_bounded_and_end_when_the_tokens_do() -> None:
    cache = TokenCache(most=3)
    allowed = Allowed("me", "AMLToken")
    for number in range(4):
        cache.put(b"%d" % number, allowed, 10.0 + number)
    assert len(cache) == 3
    assert cache.get(b"0", 0.0) is None
    assert cache.get(b"1", 10.9) == allowed
    assert cache.get(b"1", 11.0) is None
    assert len(cache) == 2
    cache.clear()
    assert cache.get(b"3", 0.0) is None


KEYS = Keys({PRIMARY: "KEY", SECONDARY: "other"})
TOKENS = AmlTokens("shop", SECRET)
GOOD = TOKENS.issue("me", NOW).token
PIECES = st.sampled_from(
    [b"Bearer ", b"bearer", b"KEY", b"other", b" ", b",", b".", b"=", GOOD.encode(), b"\0", b"\xff"]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.none(), st.binary(max_size=60), st.lists(PIECES, max_size=6).map(b"".join)))
@example(b"Bearer " + b".." * 5000)
def test_any_header_is_a_caller_or_a_refusal(header: bytes | None) -> None:
    right = {b"bearer key", b"bearer other", f"bearer {GOOD}".lower().encode()}
    both: tuple[Credentials, ...] = (KEYS, TOKENS)
    for credentials in both:
        verdict = Guard("shop", credentials, lambda: NOW).check(header)
        assert isinstance(verdict, (Allowed, Refused))
        if isinstance(verdict, Allowed):
            assert header is not None
            assert b" ".join(header.lower().split()) in right


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from("Aa0_-.~="))
def test_a_token_with_another_letter_is_none(at: int, letter: str) -> None:
    changed = GOOD[:at] + letter + GOOD[at + 1 :]
    verdict = Guard("shop", AmlTokens("shop", SECRET), lambda: NOW).check(bearer(changed))
    same = changed.rpartition(".")[0] == GOOD.rpartition(".")[0]  # base64's last letter has bits to spare
    assert isinstance(verdict, Refused) or same
