"""Tokens of an issuer that signs for real, publishes its keys over HTTP and rotates them."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from inference_server.endpoint import jwks
from inference_server.endpoint.aad_token import AadTokens
from inference_server.endpoint.aad_token import Issuer as Accepted
from inference_server.endpoint.auth import Allowed, Guard, Later, Refused, Verdict
from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.jwks_fetch import IssuerKeys
from tests.endpoint.issuer import AUDIENCE, Issuer, issuing

SOMEONE = Allowed("someone", "AADToken")
Test = Callable[[Issuer, "AadTokens", Guard], Awaitable[None]]


def with_issuer(test: Test) -> None:
    async def run() -> None:
        with issuing() as issuer:
            accepted = Accepted(issuer.url, frozenset({AUDIENCE}), frozenset({"score", "Scorer"}))
            tokens = AadTokens(accepted, IssuerKeys(issuer.url))
            await test(issuer, tokens, Guard("shop", tokens))
            await tokens.keys.close()

    asyncio.run(run())


def header(token: str) -> bytes:
    return b"Bearer " + token.encode()


def test_keys_are_fetched_once_and_off_the_hot_path() -> None:
    async def test(issuer: Issuer, tokens: AadTokens, guard: Guard) -> None:
        assert not issuer.fetched
        good = header(issuer.token())
        assert isinstance(guard.check(good), Later)
        verdicts: list[Verdict] = await asyncio.gather(*(guard.settled(good) for _ in range(20)))
        assert set(verdicts) == {SOMEONE}
        assert guard.check(good) == SOMEONE
        assert guard.check(header(issuer.token(scp=None, roles=["Reader", "Scorer"]))) == SOMEONE
        assert guard.check(header(issuer.token(aud=["other", AUDIENCE], oid=None))) == Allowed(
            "s", "AADToken"
        )
        assert issuer.fetched == ["/tenant/.well-known/openid-configuration", "/tenant/keys"]

    with_issuer(test)


def test_what_is_not_accepted() -> None:
    async def test(issuer: Issuer, tokens: AadTokens, guard: Guard) -> None:
        now = int(time.time())
        await tokens.keys.refresh()
        for changed, reason in [
            ({"aud": "https://other"}, "it is for another audience"),
            ({"iss": "https://other"}, "it comes from another issuer"),
            ({"exp": now - 120}, "it has expired"),
            ({"exp": None}, "it never expires"),
            ({"nbf": now + 120}, "it is not valid yet"),
            ({"scp": "scores"}, "it has none of the scopes and roles that are needed"),
            ({"scp": None, "roles": "score Scorer"}, "it has none of the scopes and roles that are needed"),
            (
                {"scp": {"score": 1}, "roles": [["Scorer"], 3]},
                "it has none of the scopes and roles that are needed",
            ),
        ]:
            assert guard.check(header(issuer.token(**changed))) == Refused(reason), changed
        claims = {"iss": issuer.url, "aud": AUDIENCE, "exp": now + 60, "scp": "score"}
        unkeyed = jwt.encode(claims, "x" * 32, headers={"kid": "first"}).rpartition(".")[0]
        public = (
            issuer.keys["first"][0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        confused = f"{unkeyed}.{base64url_encode(hmac.digest(public, unkeyed.encode(), 'sha256')).decode()}"
        unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": "first"})
        for bad in (confused, unsigned, issuer.token() + "A"):
            verdict = guard.check(header(bad))
            assert isinstance(verdict, Refused), bad
            assert "it is no token" in verdict.reason
        assert guard.check(header(jwt.encode(claims, "x" * 32))) == Refused(
            "it does not say which key it is signed with"
        )

    with_issuer(test)


def test_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)

    async def test(issuer: Issuer, tokens: AadTokens, guard: Guard) -> None:
        old = header(issuer.token())
        assert await guard.settled(old) == SOMEONE
        issuer.rotate("second", "EC", keep=True)
        new = header(issuer.token())
        assert isinstance(guard.check(new), Later)
        assert guard.check(old) == SOMEONE
        assert await guard.settled(new) == SOMEONE
        assert guard.check(old) == SOMEONE
        issuer.rotate("third")
        assert await guard.settled(header(issuer.token())) == SOMEONE
        for gone in (old, new):  # although it was seen before
            assert await guard.settled(gone) == Refused("it is signed with an unknown key")

    with_issuer(test)


def test_strangers_cannot_have_keys_fetched_again_and_again() -> None:
    async def test(issuer: Issuer, tokens: AadTokens, guard: Guard) -> None:
        assert await guard.settled(header(issuer.token())) == SOMEONE
        fetched = len(issuer.fetched)
        for number in range(20):
            issuer.keys[f"unknown{number}"] = issuer.keys["first"]
            verdict = guard.check(header(issuer.token(f"unknown{number}")))
            assert verdict == Refused("it is signed with an unknown key")
        assert len(issuer.fetched) == fetched

    with_issuer(test)


def test_an_issuer_that_is_down_costs_only_what_is_new(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "MAX_AGE", -1.0)  # old at once

    async def test(issuer: Issuer, tokens: AadTokens, guard: Guard) -> None:
        assert await guard.settled(header(issuer.token())) == SOMEONE
        keys = "/tenant/keys"
        for status, body, says in [
            (500, b"", "/tenant/keys answered 500"),
            (302, b"http://127.0.0.1:9/", "/tenant/keys answered 302"),
            (200, b"<html>", "/tenant/keys did not send JSON"),
            (200, b"[" * 100_000, "/tenant/keys did not send JSON"),
            (200, b" " * 2_000_000, "sent more than 1048576 bytes"),
            (200, b"[]", "this is no JWKS document"),
            (200, b'{"keys": [1, {}, {"kid": "a", "kty": "oct", "k": "AA"}]}', "no key that signatures"),
        ]:
            issuer.answers[keys] = status, body
            issuer.keys["new"] = issuer.keys["first"]
            verdict = await guard.settled(header(issuer.token("new")))
            assert isinstance(verdict, Refused)
            assert says in tokens.keys.problem
            assert guard.check(header(issuer.token("first", sub=says))) == SOMEONE
            await tokens.keys.refresh()
        issuer.answers["/tenant/.well-known/openid-configuration"] = 200, b'{"issuer": "https://other"}'
        await tokens.keys.refresh()
        assert "is not the configuration of the issuer" in tokens.keys.problem
        issuer.answers.clear()
        await tokens.keys.refresh()
        assert not tokens.keys.problem

    with_issuer(test)
    assert "The keys that tokens are signed with cannot be fetched" in caplog.text


def test_a_fetch_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.05)

    async def test() -> None:
        async def hangs() -> object:
            await asyncio.sleep(60)
            return None

        tokens = AadTokens(Accepted("i", frozenset("a"), frozenset("s")), hangs)
        token = jwt.encode({}, "x" * 32, headers={"kid": "k"})
        verdict = await Guard("shop", tokens).settled(header(token))
        assert verdict == Refused("it cannot be checked: the issuer's keys could not be fetched")

    asyncio.run(test())


def test_what_an_operator_must_say() -> None:
    async def nothing() -> object:
        return None

    for accepted, missing in [
        (Accepted("", frozenset("a"), frozenset("p")), "issuer"),
        (Accepted("i", frozenset(), frozenset("p")), "audiences"),
        (Accepted("i", frozenset("a"), frozenset()), "permissions"),
    ]:
        with pytest.raises(BadArgument, match=f"aad_token needs {missing}"):
            AadTokens(accepted, nothing)
    for address in ("http://login.example.com", "ftp://127.0.0.1", "login", "http://[", "file:///etc/passwd"):
        with pytest.raises(BadArgument, match="must begin with https://"):
            IssuerKeys(address)
        with pytest.raises(BadArgument, match="jwks_uri"):
            IssuerKeys("https://login.example.com", address)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=80),
    st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.integers()), max_size=4),
)
def test_any_token_is_a_caller_a_refusal_or_later(noise: bytes, claims: dict[str, object]) -> None:
    async def nothing() -> object:
        return None

    async def test() -> None:
        guard = Guard("shop", AadTokens(Accepted("i", frozenset("a"), frozenset("s")), nothing))
        assert isinstance(guard.check(b"Bearer " + noise), Refused)
        for kid in ("k", "", 7):
            try:
                token = jwt.encode(claims, "x" * 32, headers={"kid": kid})
            except (TypeError, jwt.PyJWTError):
                continue
            assert isinstance(guard.check(header(token)), Later if kid == "k" else Refused)
            assert isinstance(await guard.settled(header(token)), Refused)

    asyncio.run(test())
