"""The requests answered last, and where the time of each of them went."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from inference_server.telemetry.names import BATCH_REASONS, PHASES
from inference_server.telemetry.phases import Row, phases

KEPT = 256  # more would be cold memory by the time they are dropped, and cost every request
_DIGITS = 4  # of a millisecond


class Recent:
    """A ring of the last `kept` finished requests. `finished` counts all there ever were."""

    __slots__ = ("_rows", "finished")

    def __init__(self, kept: int = KEPT) -> None:
        self.finished = 0
        self._rows: deque[Row] = deque(maxlen=kept)

    def add(self, rows: Sequence[Row]) -> None:
        """`rows` were finished now, in this order."""
        self.finished += len(rows)
        self._rows.extend(rows)

    def since(self, finished: int, most: int) -> list[Row]:
        """Those that came after the first `finished` ones, the oldest first: the last `most` of them."""
        count = max(0, min(self.finished - finished, most, len(self._rows)))
        last = list(islice(reversed(self._rows), count))
        last.reverse()
        return last


def shown(rows: Sequence[Row], now: float) -> list[dict[str, Any]]:
    """`rows` as JSON shows them; `now` in monotonic seconds. Nothing of a body or a header, but the ids.

    Requests with the same number under `batch.call` shared one run() call; it means nothing beyond this list.
    """
    calls: dict[int, int] = {}
    return [_shown(row, now, calls) for row in rows]


def _shown(row: Row, now: float, calls: dict[int, int]) -> dict[str, Any]:
    status, seconds, _, arrived, *_, ids, batch = row
    values = phases(*row[1:9])
    found: dict[str, Any] = {
        "id": ids.request_id,
        "client_id": ids.client_request_id,
        "status": status,
        "ended_s_ago": round(max(0.0, now - arrived - seconds), 3),
        "ms": round(seconds * 1000, _DIGITS),
        "phases_ms": {name: round(value * 1000, _DIGITS) for name, value in zip(PHASES, values, strict=True)},
    }
    if batch is not None:
        found["batch"] = {
            "call": calls.setdefault(id(batch), len(calls)),
            "requests": batch.requests,
            "rows": batch.rows,
            "reason": BATCH_REASONS[batch.reason],
        }
    return found
