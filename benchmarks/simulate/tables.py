"""Measured batch times, as functions of the number of rows."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

FOLDER = Path(__file__).with_name("measured")


@dataclass(frozen=True)
class Table:
    """What a batch of requests with one row each takes in a worker, in seconds; straight lines between what was measured."""

    name: str
    title: str
    measured: str  # with what
    rows: tuple[int, ...]
    total: tuple[float, ...]  # decoding, run() and encoding together, by `rows`
    run: tuple[float, ...]  # run() alone

    def seconds(self, rows: float) -> float:
        """Until a batch of `rows` is answered, from when it was taken."""
        return _between(self.rows, self.total, rows)

    def run_seconds(self, rows: float) -> float:
        """One call of run()."""
        return _between(self.rows, self.run, rows)

    @cached_property
    def best(self) -> int:
        """The measured batch size with the most rows a second."""
        return max(self.rows, key=lambda rows: rows / self.seconds(rows))

    def capacity(self, max_rows: int) -> float:
        """Rows a second of one worker, at the best batch size up to `max_rows`."""
        return max(rows / self.seconds(rows) for rows in self.rows if rows <= max_rows)


def _between(sizes: tuple[int, ...], times: tuple[float, ...], rows: float) -> float:
    after = min(max(bisect_left(sizes, rows), 1), len(sizes) - 1)
    share = (rows - sizes[after - 1]) / (sizes[after] - sizes[after - 1])
    return times[after - 1] + share * (times[after] - times[after - 1])


@lru_cache
def load(name: str) -> Table:
    """A table by the name of its file. Raises FileNotFoundError."""
    found = json.loads((FOLDER / f"{name}.json").read_text())
    steps = zip(found["decode"], found["run"], found["encode"], strict=True)
    return Table(
        name,
        found["title"],
        found["measured"],
        tuple(found["rows"]),
        tuple(sum(step) for step in steps),
        tuple(found["run"]),
    )


def names() -> list[str]:
    """All tables there are."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))
