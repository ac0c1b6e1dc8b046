"""How long to wait before asking again, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from inference_server.storage.errors import Stopped
from inference_server.storage.source import Cut, SourceError

FIRST_SECONDS, MOST_SECONDS = 0.25, 20.0
MOST_ASKED_SECONDS = 300.0  # a source that asks for more is given up
WORTH_BYTES = 64 * 1024  # what counts as getting on: else a byte at a time would go on for ever
_ALL_IN_ALL = 20  # times `retries`, whether it gets on or not


@dataclass
class Backoff:
    """The patience for one piece of work. Waits double, with jitter, so that many do not come back together."""

    retries: int
    jitter: Callable[[], float] = random.random
    failures: int = 0  # in a row
    _in_all: int = 0
    _bytes: int = 0

    def got(self, count: int) -> None:
        """So many bytes came: after some of them, patience begins anew."""
        self._bytes += count
        if self.failures and self._bytes >= WORTH_BYTES:
            self.failures = 0

    def wait(self, asked: float | None = None) -> float | None:
        """Seconds to wait before the next attempt: what the source `asked` for at least. None: give up."""
        self.failures += 1
        self._in_all += 1
        self._bytes = 0
        if self.failures > self.retries or self._in_all > self.retries * _ALL_IN_ALL:
            return None
        if asked is not None and asked > MOST_ASKED_SECONDS:
            return None
        most = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** (self.failures - 1))
        return max(asked or 0.0, most * (0.5 + self.jitter() / 2))


def wait_after(cut: Cut, patience: Backoff, say: Callable[[str], None], stop: Event) -> None:
    """Wait until it may be tried again. Raises SourceError when it was tried enough, Stopped."""
    seconds = patience.wait(cut.retry_after)
    if seconds is None:
        asked = f"; it asks to wait {cut.retry_after:g} s" if cut.retry_after else ""
        raise SourceError(f"{cut} (given up after {patience.failures} attempts{asked})") from cut
    say(f"{cut}; again in {seconds:.1f} s ({patience.failures} of {patience.retries})")
    if stop.wait(seconds):
        raise Stopped("stopped")
