"""Which requests share a call: those of one key, cut at the largest batch, and of like lengths where they are
padded to the longest of the call.

What a call costs is not learned: from calls of like work, which good cuts make, it cannot be.
"""

from __future__ import annotations

from typing import Dict, Hashable, List, Sequence

from inference_server.scoring.batching.payload import Payload

CALL_ROWS = 2  # what starting a call costs, in rows of its length


def cut(payloads: Sequence[Payload], max_rows: int) -> List[List[int]]:
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
            _filled(payloads, group, max_rows) if len(lengths) == 1 else _bucketed(payloads, group, max_rows)
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


def _bucketed(payloads: Sequence[Payload], group: List[int], max_rows: int) -> List[List[int]]:
    """The cheapest calls. In order of length no better ones skip a neighbour, so it is enough to find where to
    cut: the best plan for the first n requests is one call at their end and the best plan before it."""
    ordered = sorted(group, key=lambda index: payloads[index].length)
    best, starts = [0.0], [0]
    for end in range(1, len(ordered) + 1):
        length = payloads[ordered[end - 1]].length
        rows, least, least_start = 0, float("inf"), end - 1
        for start in range(end - 1, -1, -1):
            rows += payloads[ordered[start]].rows
            if rows > max_rows and start < end - 1:
                break
            total = best[start] + _padded_work(rows, length)
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
