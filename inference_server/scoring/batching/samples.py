"""Requests that were answered by calls of their own, kept to be compared with merged calls."""

from __future__ import annotations

import random
from typing import Callable, Container, Dict, Hashable, List, Optional, Sequence

from inference_server.scoring.answer import Answer
from inference_server.scoring.batching.payload import Payload
from inference_server.scoring.channel import Record

MOST = 32  # requests, the newest
MOST_BYTES = 64 * 1024 * 1024


class Sample:
    """One request and its answer, whose body is bytes."""

    __slots__ = ("answer", "compared", "key", "record", "rows")

    def __init__(self, record: Record, answer: Answer) -> None:
        self.record = record
        self.answer = answer
        self.key: Optional[Hashable] = None  # settled at the first comparison
        self.rows = 0
        self.compared = 0  # times

    @property
    def size(self) -> int:
        return len(self.record.body) + len(self.answer.body)  # type: ignore[arg-type]


class Samples:
    """Different requests, oldest first."""

    def __init__(self) -> None:
        self._kept: Dict[int, Sample] = {}  # by hash of the request
        self._random = random.Random(0)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, request: Record) -> bool:
        """Whether an equal request is kept."""
        return _mark(request) in self._kept

    def add(self, request: Record, answer: Answer) -> bool:
        """Whether no equal request is kept; of equal ones the newest is."""
        mark = _mark(request)
        known = self._kept.pop(mark, None) is not None
        self._kept[mark] = Sample(request, answer)
        size = sum([sample.size for sample in self._kept.values()])
        while (len(self._kept) > MOST or size > MOST_BYTES) and len(self._kept) > 1:
            size -= self._kept.pop(next(iter(self._kept))).size
        return not known

    def discard(self, samples: Sequence[Sample]) -> None:
        for mark in [mark for mark, sample in self._kept.items() if sample in samples]:
            del self._kept[mark]

    def clear(self) -> None:
        self._kept.clear()

    def group(
        self, payload: Callable[[Record], Optional[Payload]], most: int, bad: Container[Hashable]
    ) -> List[Sample]:
        """Requests of one key that is not among `bad`, preferably different ones, the newest last. Those of which no
        two fit into `most` rows are dropped."""
        groups: Dict[Hashable, List[Sample]] = {}
        for mark, sample in list(self._kept.items()):
            if sample.key is None:
                found = payload(sample.record)
                if found is None or found.rows * 2 > most:
                    del self._kept[mark]
                    continue
                sample.key, sample.rows = found.key, found.rows
            if sample.key not in bad:
                groups.setdefault(sample.key, []).append(sample)
        newest = list(reversed(list(groups.values())))
        return next((group for group in newest if len(group) > 1), newest[0] if newest else [])

    def choose(self, group: Sequence[Sample], rows: int) -> List[Sample]:
        """Of `group`, about `rows` rows in all, at least two requests, in no order; those first that were compared
        least, and repeated when there are too few."""
        drawn = sorted(self._random.sample(group, len(group)), key=lambda sample: sample.compared)
        chosen = drawn[:2] if len(drawn) > 1 else drawn * 2
        size = sum([sample.rows for sample in chosen])
        at = 2
        while size + drawn[at % len(drawn)].rows <= rows:
            chosen.append(drawn[at % len(drawn)])
            size += chosen[-1].rows
            at += 1
        for sample in chosen:
            sample.compared += 1
        self._random.shuffle(chosen)
        return chosen


def _mark(request: Record) -> int:
    return hash((request.method, request.query, bytes(request.body)))
