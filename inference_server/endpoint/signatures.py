"""Signed tokens, as PyJWT reads and writes them: signatures here, what the claims say in claims.py."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from inference_server.endpoint.errors import NotInstalled

SECRET_ALGORITHM = "HS256"
_NEEDS = "tokens need PyJWT where the server runs: pip install 'azmlinfsrv[endpoints]'"
# What the claims say is checked with the server's clock, not the library's.
_SIGNATURE_ONLY = {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
} | {"verify_signature": True}
_ASYMMETRIC = ("RSA", "EC", "OKP")  # a key set that offers a shared secret is not to be believed


class BadToken(Exception):
    """A token is not accepted. The text is for the log, and has nothing of the token."""


def need_library() -> None:
    """Raises NotInstalled, so that this is known before the first request."""
    _jwt()


def _jwt() -> ModuleType:
    try:
        import jwt
    except ImportError:
        raise NotInstalled(_NEEDS) from None
    return jwt


def sign(claims: Mapping[str, Any], secret: bytes) -> str:
    """A token with these claims."""
    token: str = _jwt().encode(dict(claims), secret, algorithm=SECRET_ALGORITHM)
    return token


def claims_by_secret(token: str, secret: bytes) -> dict[str, Any]:
    """The claims of a token that was signed with `secret`. Raises BadToken."""
    return _claims(token, secret, SECRET_ALGORITHM)


def claims_by_key(token: str, key: Any) -> dict[str, Any]:
    """The claims of a token that was signed with one of `signing_keys`. Raises BadToken."""
    return _claims(token, key.key, key.algorithm_name)


def _claims(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    try:
        claims = _jwt().decode(token, key, algorithms=[algorithm], options=_SIGNATURE_ONLY)
    except Exception:  # whatever a stranger's bytes make the libraries raise, they are no token
        raise BadToken("it is no token, or its signature does not hold") from None
    if not isinstance(claims, dict):
        raise BadToken("it has no claims")
    return claims


def key_id(token: str) -> str:
    """By which key a token says that it is signed. Raises BadToken."""
    try:
        header = _jwt().get_unverified_header(token)
    except Exception:  # as above
        raise BadToken("it is no token") from None
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise BadToken("it does not say which key it is signed with")
    return kid


def signing_keys(document: object) -> dict[str, Any]:
    """The public keys of a JWKS document by their ids; those that cannot be used are left out.

    Raises ValueError when it is none, or has none that can be used.
    """
    jwt = _jwt()
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise ValueError("this is no JWKS document: it has no list of keys")
    keys = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        kid = entry.get("kid")
        if entry.get("kty") not in _ASYMMETRIC or not isinstance(kid, str) or not kid:
            continue
        try:
            keys[kid] = jwt.PyJWK.from_dict(entry)
        except Exception:  # one kind of key that the library does not know must not cost the others
            continue
    if not keys:
        raise ValueError("the JWKS document has no key that signatures can be checked with")
    return keys
