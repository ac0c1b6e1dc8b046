"""Whether rows of different requests may share a run() call: what has been compared, and what that allows.

Pure: no clock, no calls. Comparisons are made by `prover`.
"""

from __future__ import annotations

import random
from typing import Dict, Optional

PROVING, PROVEN, REFUSED = "proving", "proven", "refused"

AGAIN = 0  # as the rows of a comparison: one single call is made a second time

REPEATS = 5  # single calls that must have given the same answer twice
FIRST_REPEATS = 3  # of them, before any merged call
CALLS = 6  # merged calls that must have given what single calls gave
POINTS = 40.0  # answers that must have agreed in them
DIFFERENT = 48  # requests that must have been there to be compared
REQUESTS = 150  # or so many, where callers send the same few again and again
SAME_ANSWERS = 0.25  # what an answer counts for when all of the call are alike: swapped rows would not show

FREE_SECONDS = 0.25  # of comparisons that may be made at once: for most scripts that is all
SHARE = 0.5  # of the time spent on requests, for comparisons, until there is a verdict
SAMPLING = 0.01  # the same once rows are proven
LONGEST_SECONDS = 0.1  # of one comparison; callers wait meanwhile
LONGEST_SINGLES = 4  # the same in single calls, where these are long
SAMPLE_EACH = 100  # requests


class Evidence:
    """What merged calls have shown for one kind of company."""

    def __init__(self) -> None:
        self.points = 0.0
        self.calls = 0
        self.rows = 1  # of the largest call that agreed

    def add(self, rows: int, points: float) -> None:
        self.calls += 1
        self.points += points
        self.rows = max(self.rows, rows)

    @property
    def enough(self) -> bool:
        return self.calls >= CALLS and self.points >= POINTS


class Proof:
    """One worker's proof for one script, up to `most` rows in a call; `seed` settles what is drawn by lot.

    No call is ever merged with more rows than one that agreed. A call of equal requests shows nothing about
    different ones: where all callers send the same body, only equal requests are merged.
    """

    def __init__(self, most: int, seed: int = 0) -> None:
        self.state = PROVING
        self.why = ""
        self.agreed = 0  # answers of merged calls that were as those of single calls
        self.requests = 0  # that were run while the proof went on
        self.different = 0  # of them that were not seen before
        self.most = most
        self._random = random.Random(seed)
        self._mixed = Evidence()
        self._equal = Evidence()
        self._repeats = 0
        self._busy = 0.0  # seconds of run() for callers
        self._single = 0.0  # seconds of a single call, smoothed
        self._seconds: Dict[int, float] = {}  # of the last merged comparison, by rows
        self.spent = 0.0  # seconds, on comparisons
        self._unsampled = 0

    # ------------------------------------------------------------ what is allowed

    @property
    def rows(self) -> int:
        """The most rows that different requests may have in one call."""
        return self._mixed.rows if self.state == PROVEN else 1

    @property
    def equal_rows(self) -> int:
        """The most rows that equal requests may have in one call."""
        if self.state == PROVING and self._repeats >= REPEATS and self._equal.enough:
            return self._equal.rows
        return self.rows

    # ------------------------------------------------------------ what is to be compared

    def worked(self, requests: int, seconds: float) -> None:
        """One run() call for callers took so long."""
        self._busy += seconds
        if requests == 1:
            self._single += (seconds - self._single) * (0.2 if self._single else 1.0)
        if self.state == PROVING:
            self.requests += requests
        else:
            self._unsampled += requests

    def next(self, mixed: bool) -> Optional[int]:
        """The comparison to be made now: AGAIN, or the rows of a merged call; None: not now.

        `mixed`: there are different requests to make it with.
        """
        if self.state == REFUSED:
            return None
        if self.state == PROVEN:
            return self._larger() if self._mixed.rows < self.most and mixed else None
        evidence = self._mixed if mixed else self._equal
        if self._repeats < min(REPEATS, FIRST_REPEATS + evidence.calls):
            return AGAIN if self._affordable(self._single, SHARE) else None
        if not mixed and evidence.enough and evidence.rows == self.most:
            return None
        rows = min(self.most, evidence.rows * 2)
        if self._estimate(rows) > self._longest or (evidence.rows == self.most):
            rows = self._random.randint(2, max(2, evidence.rows))
        return rows if self._affordable(self._estimate(rows), SHARE) else None

    def sample_due(self) -> bool:
        """Whether one of the requests just merged is to be run alone, to be compared."""
        if self._unsampled < SAMPLE_EACH or self.state != PROVEN:
            return False
        return self._affordable(self._single, SAMPLING)

    def _larger(self) -> Optional[int]:
        rows = min(self.most, self._mixed.rows * 2)
        cost = self._estimate(rows)
        return rows if cost <= self._longest and self._affordable(cost, SHARE) else None

    @property
    def _longest(self) -> float:
        return max(LONGEST_SECONDS, LONGEST_SINGLES * self._single)

    def _estimate(self, rows: int) -> float:
        """Seconds of a merged call, if it takes no less for each row than the largest before."""
        known = max((size for size in self._seconds if size <= rows), default=0)
        return self._seconds[known] * rows / known if known else self._single * rows

    def _affordable(self, seconds: float, share: float) -> bool:
        return self.spent + seconds <= FREE_SECONDS + share * self._busy

    # ------------------------------------------------------------ what it showed

    def repeated(self, seconds: float) -> None:
        """A single call gave the same answer twice."""
        self.spent += seconds
        self._repeats += 1
        self._conclude()

    def sampled(self, seconds: float) -> None:
        """A request gave alone what it gave in company."""
        self.spent += seconds
        self._unsampled = 0

    def merged(self, rows: int, answers: int, bodies: int, kinds: int, seconds: float) -> None:
        """A merged call gave each of `answers` as its single call did: `bodies` of them to different requests,
        `kinds` of them different."""
        self.spent += seconds
        self._seconds[rows] = seconds
        self.agreed += answers
        if bodies > 1:
            self._mixed.add(rows, answers if kinds > 1 else answers * SAME_ANSWERS)
        self._equal.add(rows, answers)
        self._conclude()

    def limit(self, rows: int, seconds: float) -> None:
        """A merged call was too large, for memory or for its time limit: go no further than `rows`."""
        self.spent += seconds
        self.most = max(1, min(self.most, rows))
        if self.most < 2:
            self.refuse("two requests are too much for one call")

    def wasted(self, seconds: float) -> None:
        """Time for comparisons that showed nothing by itself."""
        self.spent += seconds

    def _conclude(self) -> None:
        seen = self.different >= DIFFERENT or self.requests >= REQUESTS
        if self.state == PROVING and seen and self._repeats >= REPEATS and self._mixed.enough:
            self._proven()

    def _proven(self) -> None:
        self.state = PROVEN
        self._busy = self.spent = 0.0  # what proving took is not held against sampling

    # ------------------------------------------------------------ verdicts

    def refuse(self, why: str) -> None:
        """For good."""
        self.state = REFUSED
        self.why = why

    def accept(self, rows: int) -> None:
        """Other workers have proven it, with up to `rows` in a call."""
        if self.state == PROVING:
            self._proven()
        if self.state == PROVEN:
            self._mixed.rows = max(self._mixed.rows, min(rows, self.most))
