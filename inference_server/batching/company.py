"""Whether a wait for others still finds any. No I/O, time handed in."""

from __future__ import annotations

MISSES = 2  # in a row: so many waits found nobody, and the next ones are not spent


class Company:
    """Corrects a learned wait at once where the past no longer holds: a lone caller after a busy hour, say.

    Once waits are not spent any more, somebody who comes as soon after a lone request as the wait would have been
    shows that they would pay again.
    """

    def __init__(self) -> None:
        self._misses = 0
        self._lone_left_at = float("-inf")

    @property
    def likely(self) -> bool:
        """Whether a request that waits is likely to find others."""
        return self._misses < MISSES

    def waited(self, requests: int) -> None:
        """A wait is over; so many leave together."""
        self._misses = 0 if requests > 1 else self._misses + 1

    def left_alone(self, now: float) -> None:
        """One request left without a wait."""
        self._lone_left_at = now

    def arrived(self, now: float, delay: float) -> None:
        """A request came; it would have been company if the one before had waited `delay` seconds."""
        if self._misses and now - self._lone_left_at < delay:
            self._misses = 0
