"""What a run has to say while it goes on: lines for the log, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

_WINDOW_SECONDS = 10.0  # the rate is that of so long ago till now


class Progress:
    """How far the fetching of one source is. Told by many threads, looked at by one.

    `say` takes the lines of the log; they hold no secrets.
    """

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.say = say
        self._lock = Lock()
        self.begin("", 0)
        self.active = False

    def begin(self, label: str, total: int | None) -> None:
        """A source is being fetched: so many bytes in all, if that is known."""
        with self._lock:
            self.label, self.total = label, total
            self.done = self.fetched = 0
            self.active = True
            self._marks = [(time.monotonic(), 0)]

    def advance(self, count: int) -> None:
        """So many bytes came; fewer than 0: they were worthless."""
        with self._lock:
            self.done += count
            self.fetched += max(0, count)

    def skip(self, count: int) -> None:
        """So many bytes were here before."""
        with self._lock:
            self.done += count

    def end(self) -> None:
        """Nothing is being fetched now."""
        self.active = False

    def rate(self) -> float:
        """Bytes a second, lately."""
        now = time.monotonic()
        with self._lock:
            while len(self._marks) > 1 and self._marks[1][0] < now - _WINDOW_SECONDS:
                del self._marks[0]
            if now - self._marks[-1][0] > _WINDOW_SECONDS / 20:
                self._marks.append((now, self.fetched))
            since, before = self._marks[0]
            return (self.fetched - before) / max(now - since, 1e-6)


def in_bytes(count: float) -> str:
    """A size as people read it: 1.5 GB. Powers of 1000, as disks and networks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.4g} TB"


def in_seconds(seconds: float) -> str:
    """A duration as people read it: 0.42 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
