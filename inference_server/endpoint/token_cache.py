"""Tokens that were verified, until they expire: a signature costs a hundred times the look-up."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from inference_server.endpoint.auth import Allowed

MOST_TOKENS = 10_000


class TokenCache:
    """By their digests, so that no token lies in memory; the ones not seen for longest make place."""

    def __init__(self, most: int = MOST_TOKENS) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[float, Allowed]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, token: bytes, now: float) -> Allowed | None:
        """Whom it lets in; None: it is not known, or not any more."""
        digest = sha256(token).digest()
        entry = self._known.get(digest)
        if entry is None:
            return None
        if entry[0] <= now:
            del self._known[digest]
            return None
        self._known.move_to_end(digest)
        return entry[1]

    def put(self, token: bytes, allowed: Allowed, until: float) -> None:
        """It holds until then, in seconds since 1970 as `now` is."""
        if len(self._known) >= self._most:
            self._known.popitem(last=False)
        self._known[sha256(token).digest()] = (until, allowed)

    def clear(self) -> None:
        """What they were signed with is not believed any more."""
        self._known.clear()
