"""The keys that an issuer signs tokens with: kept, fetched anew as they grow old or rotate, never while a request waits
that does not need them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from inference_server.endpoint.signatures import signing_keys

MAX_AGE = 3600.0  # seconds after which keys are fetched anew, while those there are serve
FETCH_SECONDS = 15.0  # for which a request may wait
RETRY_SECONDS = 30.0  # between two attempts, whatever unknown keys strangers name

logger = logging.getLogger("azmlinfsrv")


class SigningKeys:
    """`fetch` gives a JWKS document; it may take its time and may fail: then the keys stay as they are."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[object]],
        rotated: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rotated` is told when keys are gone, and what was signed with them is not to be believed any more."""
        self.problem = ""  # why they could not be fetched the last time; empty: they could
        self._fetch = fetch
        self._rotated = rotated
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._task: asyncio.Task[None] | None = None

    def find(self, kid: str) -> Any | None:
        """The key of that id. Old ones are used, and fetched anew in the meantime."""
        key = self._keys.get(kid)
        if key is not None and self._fetched is not None and self._clock() - self._fetched > MAX_AGE:
            self._begin()
        return key

    @property
    def may_change(self) -> bool:
        """Whether to fetch them may bring one that is not known: it is being done, or was not done just now."""
        if self._task is not None:
            return True
        return self._tried is None or self._clock() - self._tried >= RETRY_SECONDS

    async def refresh(self) -> None:
        """Fetch them, unless that was tried just now. Never fails; `problem` tells."""
        self._begin()
        if self._task is not None:
            await asyncio.wait({self._task})  # one caller who leaves does not take it from others

    def _begin(self) -> None:
        if self._task is None and self.may_change:
            self._tried = self._clock()
            self._task = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            keys = signing_keys(await asyncio.wait_for(self._fetch(), FETCH_SECONDS))
        except Exception as error:  # the network, the issuer, what it sent: tokens with known keys go on
            self.problem = str(error) or type(error).__name__
            logger.error("The keys that tokens are signed with cannot be fetched: %s", self.problem)
        else:
            gone = self._keys.keys() - keys.keys()
            self._keys, self._fetched, self.problem = keys, self._clock(), ""
            if gone:
                self._rotated()
        finally:
            self._task = None

    async def close(self) -> None:
        """Stop what is being fetched."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
