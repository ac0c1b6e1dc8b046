"""What was answered in this turn of the event loop: noted in passing, counted and logged when the turn is over.

A request costs one tuple when it is answered. The lines of the log and the counts of the metrics are made of many
at a time, which takes a fraction of making them one by one.
"""

from __future__ import annotations

from collections.abc import Callable

from inference_server.telemetry.access import Access, Entry
from inference_server.telemetry.metrics import DeploymentMetrics


class Ledger:
    """Append to `entries`; whoever makes the first entry has `flush` called once the turn is over."""

    def __init__(self, access: Access, scored: DeploymentMetrics) -> None:
        self.entries: list[Entry] = []
        self._access = access
        self._scored = scored

    def note(self, entry: Entry, soon: Callable[[Callable[[], None]], object]) -> None:
        """Add an entry; `soon` is the event loop's `call_soon`."""
        self.entries.append(entry)
        if len(self.entries) == 1:
            soon(self.flush)

    def flush(self) -> None:
        """Write and count what was noted."""
        entries, self.entries = self.entries, []
        if entries:
            self._scored.count(entries)
            self._access.write(entries)
