"""What became of the requests of one load."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from inference_server.load.histogram import Histogram
from inference_server.load.server_timing import ServerTiming

# Why a request has no answer. The words are what people read.
REFUSED, RESET, CLOSED, TIMEOUT = "refused", "reset", "closed", "timeout"
WRONG_LENGTH, NO_HTTP, TLS, UNREACHABLE = "wrong length", "no HTTP", "TLS", "unreachable"
CROWDED = "no free connection"  # it was due, and all connections were busy until its time was up
BUSY = 0.9  # of the time; a generator with less to spare may have been the limit itself
LATE = 0.001  # seconds


class Failure(NamedTuple):
    """A request that was not answered with 2xx."""

    kind: str  # one of the words above, or the status
    text: str  # what was said
    place: int | None  # which of the bodies it had; None: it was never sent
    status: int = 0  # 0: there was no answer


@dataclass
class Tally:
    """One load: requests that began in its time, and what came of them.

    Latencies are seconds: of answers with 2xx, and what those waited whose time was up, so that a server that is
    stuck does not look fast.
    """

    start: float = 0.0  # of the clock; requests that began earlier are not counted
    seconds: float = 0.0  # while requests were sent
    busy: float = 0.0  # seconds of a processor that the generator took meanwhile
    statuses: dict[int, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)  # the first of each kind
    sent: int = 0  # bytes
    received: int = 0
    opened: int = 0  # connections
    in_time: int = 0  # answers with 2xx that came within `seconds`
    latency: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)  # how long after its time the generator sent a request
    timing: ServerTiming = field(default_factory=ServerTiming)
    cut: bool = False  # somebody ended it early

    @property
    def good(self) -> int:
        """Requests answered with 2xx."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def requests(self) -> int:
        """All that were asked and have ended."""
        return sum(self.statuses.values()) + sum(self.errors.values())

    @property
    def failed(self) -> int:
        """Requests that were not answered with 2xx."""
        return self.requests - self.good

    @property
    def rate(self) -> float:
        """Answers with 2xx a second."""
        return self.in_time / self.seconds if self.seconds else 0.0

    @property
    def limited(self) -> bool:
        """Whether the generator itself had hardly a moment to spare, so that the server may do better than this shows."""
        return self.busy > BUSY * self.seconds > 0

    @property
    def unpunctual(self) -> bool:
        """Whether requests left so late that it shows in the latencies; with a constant rate only."""
        late = self.late.percentile(0.99)
        return late > LATE and late > 0.1 * self.latency.percentile(0.99)

    def fail(self, failure: Failure) -> None:
        """One more that has no answer."""
        self.errors[failure.kind] = self.errors.get(failure.kind, 0) + 1
        self.failures.setdefault(failure.kind, failure)

    def merge(self, other: Tally) -> None:
        """All that `other` has, as if both had been one load."""
        self.seconds += other.seconds
        self.busy += other.busy
        self.sent += other.sent
        self.received += other.received
        self.opened += other.opened
        self.in_time += other.in_time
        self.cut = self.cut or other.cut
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        for kind, count in other.errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + count
        for kind, failure in other.failures.items():
            self.failures.setdefault(kind, failure)
        self.latency.add(other.latency)
        self.late.add(other.late)
        self.timing.merge(other.timing)
