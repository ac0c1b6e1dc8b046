"""What a server says of where the time of its requests went: the Server-Timing header, added up.

    Server-Timing: queue;dur=0.112;desc="idle", run;dur=1.870, total;dur=2.155

Any server may send it; `total` is taken for the whole of what the server has seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from inference_server.load.histogram import Histogram

TOTAL = "total"
_MOST = 32  # names; a server that makes up a new one each time must not fill the memory
_QUOTED = re.compile(rb'"[^"]*"')
_DURATION = re.compile(rb";\s*dur\s*=\s*([\d.]+)")


class ServerTiming:
    """Durations in seconds by the names that the server gives them, in its order."""

    def __init__(self) -> None:
        self.phases: dict[str, Histogram] = {}
        self.seen = Histogram()  # what the same requests took for their caller, from sending to the answer

    def add(self, header: bytes, seconds: float) -> None:
        """One answer's header, and what its caller waited. A header without durations is passed over."""
        found = list(parse(header))
        if not found:
            return
        self.seen.record(seconds)
        for name, duration in found:
            if name in self.phases or len(self.phases) < _MOST:
                self.phases.setdefault(name, Histogram()).record(duration)

    def merge(self, other: ServerTiming) -> None:
        """All that `other` has."""
        self.seen.add(other.seen)
        for name, durations in other.phases.items():
            self.phases.setdefault(name, Histogram()).add(durations)

    @property
    def outside(self) -> float | None:
        """Mean seconds that the caller waited beyond the server's total; None where it says none."""
        total = self.phases.get(TOTAL)
        return max(0.0, self.seen.mean - total.mean) if total else None


def parse(header: bytes) -> Iterator[tuple[str, float]]:
    """The names in a header, and their durations in seconds; those without one are left out."""
    for part in _QUOTED.sub(b"", header).split(b","):
        duration = _DURATION.search(part)
        if duration is None:
            continue
        try:
            yield part.partition(b";")[0].strip().decode("latin-1"), float(duration[1]) / 1000
        except ValueError:  # 1.2.3
            continue
