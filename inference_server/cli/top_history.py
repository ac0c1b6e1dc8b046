"""What a server said when it was asked again and again, and the figures that follow from it."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference_server.telemetry.names import PHASES

RATE_SECONDS = 10.0  # rates are those of so much time
KEPT = 2048  # requests that percentiles are made of


@dataclass(frozen=True)
class Call:
    """One run() call."""

    requests: int
    rows: int  # 0: not known
    reason: str


@dataclass
class History:
    """Answers of `/debug/requests`, each with the time it came, in monotonic seconds."""

    last: dict[str, Any] = field(default_factory=dict)
    finished: int = 0  # what to ask for next: requests after these
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=KEPT))
    _counts: deque[tuple[float, Counter[str]]] = field(default_factory=deque)

    def add(self, answer: dict[str, Any], now: float) -> None:
        """One more answer. A server that counts from the start again is another one: the rest is forgotten."""
        if answer["finished"] < self.finished:
            self.requests.clear()
            self.calls.clear()
            self._counts.clear()
        self.last = answer
        self.finished = answer["finished"]
        seen: set[int] = set()
        for request in answer["requests"]:
            self.requests.append({**request, "ended": now - request["ended_s_ago"]})
            batch = request.get("batch")
            if batch is not None and batch["call"] not in seen:
                seen.add(batch["call"])
                self.calls.append(Call(batch["requests"], batch["rows"], batch["reason"]))
        self._counts.append((now, Counter(answer["statuses"])))
        while len(self._counts) > 2 and self._counts[1][0] < now - RATE_SECONDS:
            self._counts.popleft()

    def rates(self) -> dict[str, float]:
        """Answers a second, by status."""
        (first, before), (last, after) = self._counts[0], self._counts[-1]
        if last > first:
            found = {status: (after[status] - before[status]) / (last - first) for status in sorted(after)}
        else:  # asked once: what the ring tells
            recent = [one for one in self.requests if one["ended_s_ago"] < RATE_SECONDS]
            whole = len(recent) < len(self.requests) or len(self.requests) == self.finished
            span = RATE_SECONDS if whole or not recent else recent[0]["ended_s_ago"] or RATE_SECONDS
            counts = Counter(str(one["status"]) for one in recent)
            found = {status: count / span for status, count in sorted(counts.items())}
        return {status: rate for status, rate in found.items() if rate > 0}

    def latencies(self) -> list[float]:
        """Milliseconds of each request, in order."""
        return sorted(one["ms"] for one in self.requests)

    def phase(self, name: str) -> list[float]:
        """The same of one phase."""
        return sorted(one["phases_ms"][name] for one in self.requests)

    def shares(self) -> dict[str, float]:
        """The part of all time that each phase took."""
        sums = {name: math.fsum(one["phases_ms"][name] for one in self.requests) for name in PHASES}
        whole = math.fsum(sums.values()) or 1.0
        return {name: value / whole for name, value in sums.items()}

    def slowest(self) -> dict[str, Any]:
        """The request that took longest. There must be one."""
        return max(self.requests, key=lambda one: float(one["ms"]))


def percentile(ordered: Sequence[float], part: float) -> float:
    """The least value that `part` of all do not exceed; `ordered` is not empty."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def sizes(calls: Iterable[Call]) -> list[tuple[str, int]]:
    """How many calls had how many rows (requests, where rows are not known), in powers of two, without gaps."""
    counts = Counter(max(0, ((call.rows or call.requests) - 1).bit_length()) for call in calls)
    return [(_named(power), counts[power]) for power in range(min(counts), max(counts) + 1)] if counts else []


def _named(power: int) -> str:
    low, high = 2 ** (power - 1) + 1 if power > 1 else 2**power, 2**power
    return str(high) if low == high else f"{low}-{high}"
