"""What goes on while a load is on: a line that changes on a terminal, a line now and then in a log."""

from __future__ import annotations

import os
import sys
import time
from collections import deque

from inference_server.cli.bench_plan import Side
from inference_server.load.figures import duration, rate
from inference_server.load.generator import Closed, Open
from inference_server.load.histogram import Histogram
from inference_server.load.level import name
from inference_server.load.tally import Tally

_BAR = 10  # cells
_COLUMNS = 80  # where the terminal does not say
_CLEAR = "\r\x1b[K"
_DRAWN_SECONDS, _LOGGED_SECONDS = 0.25, 5.0
_LOOKS = 5  # drawings that a rate is taken over


class Progress:
    """Written to standard error, so that the results can be piped."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = _DRAWN_SECONDS if self._terminal else _LOGGED_SECONDS
        self._seen: deque[tuple[float, int, Histogram]] = deque(
            maxlen=_LOOKS
        )  # when, answers, latencies so far
        self._what = ""
        self._seconds = 0.0
        self._since = self._next = 0.0

    def begin(self, pace: Closed | Open, side: Side, seconds: float, more: str) -> None:
        """Another load, of so many seconds, is about to be put on."""
        self._what = "  ".join(text for text in (name(pace), more) if text)
        self._seconds = seconds
        self._since = now = time.monotonic()
        self._next = now + self._every
        self._seen.clear()
        self._seen.append((now, 0, Histogram()))
        if self._terminal:
            self._draw(f"{self._what}  {side.where.url}")

    def watch(self, tally: Tally) -> None:
        """Show how it goes; called often."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        before, count, latencies = self._seen[0]
        recent = tally.latency.since(latencies)
        speed = (tally.good - count) / (now - before)
        self._seen.append((now, tally.good, tally.latency.copy()))
        p50, p99 = recent.percentiles((0.5, 0.99))
        text = f"{self._what}  {rate(speed)} req/s"
        if recent.count:
            text += f"  p50 {duration(p50)}  p99 {duration(p99)}"
        errors = f"{tally.failed:,} failed"
        spent = now - self._since
        if self._terminal:
            filled = round(min(1.0, spent / self._seconds) * _BAR)
            self._draw(f"{'█' * filled}{'░' * (_BAR - filled)} {spent:4.1f} s  {text}  {errors}")
        else:
            print(f"{spent:5.1f} s  {text}  {errors}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the changing line away."""
        if self._terminal:
            print(_CLEAR, end="", file=sys.stderr, flush=True)

    def _draw(self, text: str) -> None:
        width = _columns() - 1
        print(f"{_CLEAR}{text[:width]}", end="", file=sys.stderr, flush=True)


def _columns() -> int:
    """Of the terminal that standard error is; standard output may be none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS
