"""Who may send requests: what every way of checking has in common, and the line of the log for each refusal."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from inference_server.endpoint.answers import unauthorized
from inference_server.messages import Answer

MOST_TOKEN_BYTES = 16 * 1024
# RFC 6750: the scheme in any case, then one token. Of two headers joined by a comma it is neither.
TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_BEARER = re.compile(rb"bearer +(%s)" % TOKEN.pattern, re.IGNORECASE)

audit = logging.getLogger("azmlinfsrv.audit")


class Allowed(NamedTuple):
    """The request comes in."""

    caller: str  # tells one caller from another, for limits and logs; never a secret
    auth_type: str  # Key, AMLToken or AADToken as Azure's logs have it; empty: nobody was asked


class Refused(NamedTuple):
    """The request does not. `reason` is for the log, and has nothing of what was sent."""

    reason: str


class Later(NamedTuple):
    """Not known before the keys that tokens are signed with have been fetched anew."""

    fetched: Callable[[], Awaitable[None]]  # never fails; asking for it twice fetches once


Verdict = Allowed | Refused | Later
ANYBODY = Allowed("anybody", "")
NOTHING = Refused("no Authorization header")
NO_TOKEN = Refused("the Authorization header is no Bearer token")
NOT_FETCHED = Refused("it is signed with an unknown key")


class Credentials(Protocol):
    """One of the modes: key, aml_token, aad_token."""

    @property
    def mode(self) -> str: ...

    def check(self, token: bytes, now: float) -> Verdict:
        """`now`: seconds since 1970. Never raises, never waits."""


class Guard:
    """Stands before an endpoint. Without credentials it lets everybody in: an endpoint on the loopback only."""

    def __init__(
        self, endpoint: str, credentials: Credentials | None, clock: Callable[[], float] = time.time
    ) -> None:
        self.credentials = credentials  # may be exchanged at any moment
        self._endpoint = endpoint
        self._clock = clock

    def check(self, header: bytes | None) -> Verdict:
        """Of the Authorization header as it came. `Later`: wait with `settled`."""
        if self.credentials is None:
            return ANYBODY
        if header is None:
            return NOTHING
        match = _BEARER.fullmatch(header) if len(header) <= MOST_TOKEN_BYTES else None
        if match is None:
            return NO_TOKEN
        return self.credentials.check(match[1], self._clock())

    async def settled(self, header: bytes | None) -> Allowed | Refused:
        """As `check`, which has said `Later`: waits for the keys, not longer than fetching them may take."""
        verdict = self.check(header)
        if isinstance(verdict, Later):
            await verdict.fetched()
            verdict = self.check(header)
        return NOT_FETCHED if isinstance(verdict, Later) else verdict

    def refuse(self, refused: Refused, client: str, request_id: str) -> Answer:
        """401, and the log has a line about it."""
        mode = self.credentials.mode if self.credentials is not None else ""
        audit.warning(
            "Refused: endpoint=%s auth_mode=%s client=%s request_id=%s reason=%s",
            self._endpoint,
            mode,
            client,
            request_id,
            refused.reason,
        )
        return unauthorized()
