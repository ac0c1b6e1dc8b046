"""The two keys of an endpoint, either of which lets requests in. In memory there are their digests only."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from hmac import compare_digest

from inference_server.endpoint.auth import TOKEN, Allowed, Refused, Verdict
from inference_server.endpoint.errors import BadArgument

KEY_CHARACTERS = 52  # of letters and digits: 309 bits
_ALPHABET = string.ascii_letters + string.digits
_WRONG = Refused("it is not a key of this endpoint")


class KeyType(str, Enum):
    """Which of the two; Azure's words."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


def make_key() -> str:
    """A new key, of letters and digits only: it passes through any shell and file as it is."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(KEY_CHARACTERS))


class Keys:
    """Mode `key`. One key at a time is replaced; whoever uses the other one notices nothing."""

    mode = "key"

    def __init__(self, keys: Mapping[KeyType, str]) -> None:
        """Raises BadArgument for what cannot be sent as a key."""
        self._digests = {which: _digest(keys[which]) for which in KeyType}
        self._allowed = {which: Allowed(f"{which.value} key", "Key") for which in KeyType}

    def replace(self, which: KeyType, key: str) -> None:
        """From the next request on, `key` is the one of that type and the one before it is worth nothing.

        Raises BadArgument.
        """
        self._digests = {**self._digests, which: _digest(key)}

    def check(self, token: bytes, now: float) -> Verdict:
        """Both are compared, in a time that depends on neither."""
        digest = sha256(token).digest()
        verdict: Verdict = _WRONG
        for which, known in self._digests.items():
            if compare_digest(digest, known):
                verdict = self._allowed[which]
        return verdict


def _digest(key: str) -> bytes:
    if not TOKEN.fullmatch(key.encode()):
        raise BadArgument("a key may have letters, digits and - . _ ~ + / only, and must not be empty")
    return sha256(key.encode()).digest()
