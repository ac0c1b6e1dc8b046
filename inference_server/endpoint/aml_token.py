"""Mode `aml_token`: tokens that the endpoint's own server signs, and that end by themselves."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from inference_server.endpoint.auth import Allowed, Refused, Verdict
from inference_server.endpoint.claims import check_issued, check_times, identity
from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.signatures import BadToken, claims_by_secret, need_library, sign
from inference_server.endpoint.token_cache import TokenCache

ISSUER = "azmlinfsrv"
LEAST_SECRET = 32  # characters
LEAST_SECONDS = 60.0


class TokenLife(NamedTuple):
    """In seconds from the issue."""

    expires: float = 12 * 3600.0
    refresh: float = 8 * 3600.0  # after that, a new one should be fetched


@dataclass(frozen=True)
class IssuedToken:
    """What `get-credentials` gives; times in seconds since 1970."""

    token: str
    expires: float
    refresh_after: float

    def credentials(self) -> dict[str, str]:
        """By Azure's names."""
        return {
            "accessToken": self.token,
            "tokenType": "Bearer",
            "expiryTimeUtc": _iso(self.expires),
            "refreshAfterTimeUtc": _iso(self.refresh_after),
        }


class AmlTokens:
    """Signs and checks. A token holds for this endpoint only, by its name and its secret."""

    mode = "aml_token"

    def __init__(self, endpoint: str, secret: str, life: TokenLife | None = None) -> None:
        """Raises BadArgument for a life that is none, NotInstalled without the library."""
        need_library()
        self._life = life or TokenLife()
        expires, refresh = self._life
        if expires < LEAST_SECONDS or not 0 < refresh <= expires:
            raise BadArgument(
                f"the life of tokens must be {LEAST_SECONDS:g} s or more, and they are refreshed within it: "
                f"{refresh:g} of {expires:g} s cannot be"
            )
        if len(secret) < LEAST_SECRET:
            raise BadArgument(
                f"the secret that tokens are signed with must have {LEAST_SECRET} characters or more"
            )
        self._endpoint = endpoint
        self._secret = secret.encode()
        self._cache = TokenCache()

    def issue(self, caller: str, now: float) -> IssuedToken:
        """A token for `caller`, whoever that is; `now` in seconds since 1970."""
        issued = int(now)
        expires, refresh = issued + int(self._life.expires), issued + int(self._life.refresh)
        claims = {"iss": ISSUER, "aud": self._endpoint, "sub": caller, "iat": issued, "exp": expires}
        return IssuedToken(sign({**claims, "jti": secrets.token_hex(8)}, self._secret), expires, refresh)

    def check(self, token: bytes, now: float) -> Verdict:
        """See `Credentials.check`."""
        allowed = self._cache.get(token, now)
        if allowed is not None:
            return allowed
        try:
            claims = claims_by_secret(token.decode("ascii"), self._secret)
            check_issued(claims, ISSUER, (self._endpoint,))
            until = check_times(claims, now, leeway=0.0)  # it is one clock
        except BadToken as error:
            return Refused(str(error))
        allowed = Allowed(identity(claims), "AMLToken")
        self._cache.put(token, allowed, until)
        return allowed


def make_secret() -> str:
    """What tokens are signed with, of 256 bits; in letters and digits, so that it is taken for no other kind of key."""
    return secrets.token_hex(32)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
