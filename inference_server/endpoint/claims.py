"""What the claims of a token must say: from whom, for whom, from when until when. Time handed in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

from inference_server.endpoint.signatures import BadToken

LEEWAY = 60.0  # seconds that the clocks of two machines may be apart
MOST_CALLER_CHARACTERS = 100
_IDENTITIES = ("oid", "appid", "azp", "sub")  # Entra ID's object before its application before OIDC's subject


def check_issued(claims: Mapping[str, Any], issuer: str, audiences: Collection[str]) -> None:
    """Raises BadToken for a token of another issuer, or for another audience."""
    if claims.get("iss") != issuer:
        raise BadToken("it comes from another issuer")
    given = claims.get("aud")
    listed = given if isinstance(given, list) else [given]
    if not any(isinstance(one, str) and one in audiences for one in listed):
        raise BadToken("it is for another audience")


def check_times(claims: Mapping[str, Any], now: float, leeway: float = LEEWAY) -> float:
    """Until when the token holds, in seconds since 1970 as `now` is. Raises BadToken."""
    expires = _seconds(claims, "exp")
    if expires is None:
        raise BadToken("it never expires")
    if expires + leeway <= now:
        raise BadToken("it has expired")
    begins = _seconds(claims, "nbf")
    if begins is not None and begins - leeway > now:
        raise BadToken("it is not valid yet")
    return expires + leeway


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadToken(f"its {name} is no time")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = float("inf")
    if not isfinite(seconds):
        raise BadToken(f"its {name} is no time")
    return seconds


def permissions(claims: Mapping[str, Any]) -> set[str]:
    """Scopes (`scp`, or OIDC's `scope`: words in a text) and roles (`roles`: a list) together."""
    granted: set[str] = set()
    for name in ("scp", "scope", "roles"):
        value = claims.get(name)
        if isinstance(value, str):
            granted.update(value.split() if name != "roles" else [value])
        elif isinstance(value, list):
            granted.update(one for one in value if isinstance(one, str))
    return granted


def identity(claims: Mapping[str, Any]) -> str:
    """Whom the token speaks for, as limits and logs tell callers apart."""
    for name in _IDENTITIES:
        value = claims.get(name)
        if isinstance(value, str) and value:
            return "".join(one if one.isprintable() else "?" for one in value[:MOST_CALLER_CHARACTERS])
    return "unnamed"
