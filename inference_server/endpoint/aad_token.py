"""Mode `aad_token`: tokens of an OpenID Connect issuer, such as Microsoft Entra ID."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from inference_server.endpoint.auth import Allowed, Later, Refused, Verdict
from inference_server.endpoint.claims import check_issued, check_times, identity, permissions
from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.jwks import SigningKeys
from inference_server.endpoint.signatures import BadToken, claims_by_key, key_id, need_library
from inference_server.endpoint.token_cache import TokenCache

_UNKNOWN_KEY = Refused("it is signed with an unknown key")
_NOT_FETCHED = Refused("it cannot be checked: the issuer's keys could not be fetched")


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are accepted, and which of them."""

    issuer: str
    audiences: frozenset[str]  # one of them must be the token's
    permissions: frozenset[str]  # a scope or role, one of which the token must have


class AadTokens:
    """Checks tokens. That the issuer has new keys is noticed by a token that is signed with one of them."""

    mode = "aad_token"

    def __init__(self, issuer: Issuer, fetch: Callable[[], Awaitable[object]]) -> None:
        """`fetch` gives the issuer's JWKS document. Raises BadArgument, NotInstalled."""
        need_library()
        for name in ("issuer", "audiences", "permissions"):
            if not getattr(issuer, name):
                raise BadArgument(
                    f"auth_mode aad_token needs {name}: without, anybody who has a token of some kind would be let in"
                )
        self._issuer = issuer
        self._cache = TokenCache()
        self.keys = SigningKeys(fetch, rotated=self._cache.clear)

    def check(self, token: bytes, now: float) -> Verdict:
        """See `Credentials.check`."""
        allowed = self._cache.get(token, now)
        if allowed is not None:
            return allowed
        text = token.decode("ascii")
        try:
            key = self.keys.find(key_id(text))
            if key is None:
                return self._unknown_key()
            claims = claims_by_key(text, key)
            check_issued(claims, self._issuer.issuer, self._issuer.audiences)
            until = check_times(claims, now)
        except BadToken as error:
            return Refused(str(error))
        if not permissions(claims) & self._issuer.permissions:
            return Refused("it has none of the scopes and roles that are needed")
        allowed = Allowed(identity(claims), "AADToken")
        self._cache.put(token, allowed, until)
        return allowed

    def _unknown_key(self) -> Verdict:
        if self.keys.may_change:
            return Later(self.keys.refresh)
        return _NOT_FETCHED if self.keys.problem else _UNKNOWN_KEY
