"""Which requests share a call: those of one key, cut at the largest batch, and of like lengths where they are
padded to the longest of the call.

Pure: what calls cost is handed in.
"""

from __future__ import annotations

from typing import Callable, Dict, Hashable, List, Optional, Sequence

from inference_server.scoring.batching.payload import Payload

Cost = Callable[[int, int], float]  # of one call with so many rows, padded to such a length

CALL_ROWS = 2  # what starting a call costs, in rows of its length, where nothing was measured yet


def cut(payloads: Sequence[Payload], max_rows: int, cost: Optional[Cost] = None) -> List[List[int]]:
    """The calls that `payloads` are to be run in: lists of indices, each in order of arrival.

    A call has one key, and at most `max_rows` rows unless a single request has more. Where lengths differ the
    calls are those that cost least together, else they are filled in order of arrival. The calls come in
    order of the oldest request in them.
    """
    groups: Dict[Hashable, List[int]] = {}
    for index, payload in enumerate(payloads):
        groups.setdefault(payload.key, []).append(index)
    calls: List[List[int]] = []
    for group in groups.values():
        lengths = {payloads[index].length for index in group}
        calls += (
            _filled(payloads, group, max_rows)
            if len(lengths) == 1
            else _bucketed(payloads, group, max_rows, cost)
        )
    return sorted(calls) if len(calls) > 1 else calls


def _filled(payloads: Sequence[Payload], group: List[int], max_rows: int) -> List[List[int]]:
    calls: List[List[int]] = []
    room = 0
    for index in group:
        rows = payloads[index].rows
        if rows > room or not calls:
            calls.append([])
            room = max_rows
        calls[-1].append(index)
        room -= rows
    return calls


def _bucketed(
    payloads: Sequence[Payload], group: List[int], max_rows: int, cost: Optional[Cost]
) -> List[List[int]]:
    """The cheapest calls. In order of length no better ones skip a neighbour, so it is enough to find where to
    cut: the best plan for the first n requests is one call at their end and the best plan before it."""
    cost = cost or _padded_work
    ordered = sorted(group, key=lambda index: payloads[index].length)
    best, starts = [0.0], [0]
    for end in range(1, len(ordered) + 1):
        length = payloads[ordered[end - 1]].length
        rows, least, least_start = 0, float("inf"), end - 1
        for start in range(end - 1, -1, -1):
            rows += payloads[ordered[start]].rows
            if rows > max_rows and start < end - 1:
                break
            total = best[start] + cost(rows, length)
            if total <= least:
                least, least_start = total, start
        best.append(least)
        starts.append(least_start)
    calls = []
    end = len(ordered)
    while end:
        calls.append(sorted(ordered[starts[end] : end]))
        end = starts[end]
    return calls


def _padded_work(rows: int, length: int) -> float:
    return (rows + CALL_ROWS) * length


class LearnedCost:
    """What calls cost, fitted to what they took: seconds = a + b · rows · length, the latest counting most.

    Until two different sizes were seen it is the padded work.
    """

    KEPT = 0.98  # of the weight of each call, when another one is noted

    def __init__(self) -> None:
        self._weight = self._work = self._work2 = self._seconds = self._product = 0.0

    def note(self, rows: int, length: int, seconds: float) -> None:
        """A call of `rows` rows padded to `length` took so long."""
        work, kept = float(rows * length), self.KEPT
        self._weight = self._weight * kept + 1.0
        self._work = self._work * kept + work
        self._work2 = self._work2 * kept + work * work
        self._seconds = self._seconds * kept + seconds
        self._product = self._product * kept + work * seconds

    def __call__(self, rows: int, length: int) -> float:
        spread = self._weight * self._work2 - self._work * self._work
        if spread <= 1e-6 * self._weight * self._work2:
            return _padded_work(rows, length)
        slope = max((self._weight * self._product - self._work * self._seconds) / spread, 0.0)
        fixed = max((self._seconds - slope * self._work) / self._weight, 0.0)
        return fixed + slope * rows * length
