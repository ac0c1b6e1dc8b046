"""What the user sees: a line for each measurement, a bar on a terminal, the table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from inference_server.load.figures import megabytes, milliseconds, plural, rate
from inference_server.tuning.facts import Budget, Configuration, Point

BAR = 20  # cells
CURVE = 24
_CLEAR = "\r\x1b[K"


class Screen:
    """Lines on standard output; on a terminal also a bar below them, on standard error."""

    def __init__(self, expected: int) -> None:
        self.done = 0  # configurations
        self._expected = max(1, expected)
        self._bar = sys.stderr.isatty()
        self._since = time.monotonic()

    def doing(self, text: str) -> None:
        """What is going on now."""
        if not self._bar:
            return
        share = min(0.95, self.done / self._expected)
        filled = int(share * BAR)
        seconds = time.monotonic() - self._since
        bar = "█" * filled + "░" * (BAR - filled)
        print(f"{_CLEAR}{bar} {seconds:4.0f} s  {text}", end="", file=sys.stderr, flush=True)

    def measured(self, point: Point) -> None:
        self.note(line(point))

    def note(self, text: str) -> None:
        """One more line for good."""
        self.clear()
        print(text, flush=True)

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar:
            print(_CLEAR, end="", file=sys.stderr, flush=True)


def line(point: Point) -> str:
    """One measurement."""
    one = point.configuration
    text = (
        f"batch {one.batch:>3}  {plural(one.workers, 'worker'):<10} {plural(point.callers, 'caller'):>11}"
        f"  {rate(point.rate):>7} req/s  p50 {milliseconds(point.p50):>8}  p99 {milliseconds(point.p99):>8}"
    )
    if point.memory:
        text += f"  {megabytes(point.memory):>8}"
    return text + (f"  {point.rows:.1f} rows a call" if point.rows else "")


_HEAD = ("batch", "workers", "callers", "req/s", "", "p50", "p99", "memory", "rows a call", "")


def table(best: Mapping[Configuration, Point], chosen: Point | None, budget: Budget, mark: str) -> str:
    """All configurations, each by its best point, with a bar for the rate; `mark` stands beside `chosen`."""
    most = max(point.rate for point in best.values())
    rows: list[tuple[str, ...]] = [_HEAD]
    for configuration, point in sorted(best.items()):
        choice = chosen is not None and configuration == chosen.configuration
        rows.append(_row(point, budget, most, f"◄ {mark}" if choice else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in (4, 9) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def _row(point: Point, budget: Budget, most: float, mark: str) -> tuple[str, ...]:
    one = point.configuration
    if not budget.in_time(point):
        mark = "too slow"
    elif not budget.in_memory(point.memory):
        mark = "too large"
    return (
        str(one.batch),
        str(one.workers),
        str(point.callers),
        rate(point.rate),
        "█" * max(1, round(point.rate / most * CURVE)),
        milliseconds(point.p50),
        milliseconds(point.p99),
        megabytes(point.memory) if point.memory else "",
        f"{point.rows:.1f}" if point.rows else "",
        mark,
    )
