"""How many requests an endpoint takes: at once, a second, and of one caller; and what its answers then say."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

from inference_server.batching.admission import PLATFORM_FACTOR
from inference_server.messages import Answer
from inference_server.workers.answers import refused

TOO_MANY_REQUESTS = 429
DEFAULT_TIMEOUT_MS = 5000  # Azure's request_timeout_ms
DEFAULT_CONCURRENCY = 1  # Azure's max_concurrent_requests_per_instance
MOST_CALLERS = 10_000
TOO_MANY = "Too many pending requests: {} are in flight, of max_concurrent_requests_per_instance {} on {} instance(s)."
TOO_FAST = "Too many requests: {} a second are allowed. Try again later."


@dataclass(frozen=True)
class RequestLimits:
    """The `request_settings` of a deployment, and on how many instances they hold."""

    concurrency: int = DEFAULT_CONCURRENCY  # max_concurrent_requests_per_instance
    instances: int = 1
    timeout: float = DEFAULT_TIMEOUT_MS / 1000  # seconds from arrival; 0.0: none

    @property
    def most_in_flight(self) -> int:
        """Requests beyond these are refused at once."""
        return PLATFORM_FACTOR * self.concurrency * self.instances


def default_concurrency(max_batch_size: int, workers: int) -> int:
    """max_concurrent_requests_per_instance where none is given, for so many workers on an instance.

    Azure's default would let no batch come together, so where requests are batched each worker may have a full one.
    """
    return max_batch_size * workers if max_batch_size > 1 else DEFAULT_CONCURRENCY


def too_many(limits: RequestLimits) -> Answer:
    """More requests are in flight than the deployment's instances may have."""
    text = TOO_MANY.format(limits.most_in_flight, limits.concurrency, limits.instances)
    return refused(TOO_MANY_REQUESTS, text, 1)


def too_fast(rate: float, wait: float) -> Answer:
    """The limit of requests a second is reached; one may come in `wait` seconds."""
    return refused(TOO_MANY_REQUESTS, TOO_FAST.format(f"{rate:g}"), max(1, ceil(wait)))


class RateLimit:
    """A token bucket: `rate` requests a second on average, and as many as come in a second (at least one) at once."""

    __slots__ = ("_at", "_most", "_tokens", "rate")

    def __init__(self, rate: float, now: float) -> None:
        """`rate` > 0; `now`, here and below, is monotonic seconds."""
        self.rate = rate
        self._most = max(1.0, rate)
        self._tokens = self._most
        self._at = now

    def take(self, now: float) -> float:
        """0.0: the request may come in. Else the seconds until one may."""
        tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1.0 - tokens) / self.rate

    def refuse(self, now: float) -> Answer | None:
        """429 for a request too many; None: it may come in."""
        wait = self.take(now)
        return too_fast(self.rate, wait) if wait else None


class CallerRateLimits:
    """A rate limit for each caller, of those that were heard last: who was not heard for long has a full bucket anyway."""

    def __init__(self, rate: float, most_callers: int = MOST_CALLERS) -> None:
        self.rate = rate
        self._most = most_callers
        self._callers: OrderedDict[str, RateLimit] = OrderedDict()

    def __len__(self) -> int:
        return len(self._callers)

    def refuse(self, caller: str, now: float) -> Answer | None:
        """As `RateLimit.refuse`, for one caller, by whatever tells it from others."""
        limit = self._callers.get(caller)
        if limit is None:
            if len(self._callers) >= self._most:
                self._callers.popitem(last=False)
            limit = self._callers[caller] = RateLimit(self.rate, now)
        else:
            self._callers.move_to_end(caller)
        return limit.refuse(now)
