"""How a batch that failed is taken apart, and which bodies have done it."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple, Union

SECONDS = 60.0  # how long a body that failed alone is kept apart
MOST = 256  # bodies
MANY = 3  # faults in one batch, and they may be common enough to go on one by one


class Parts:
    """The parts of a failed batch of `count` requests that are to be run, so that each good one gets its answer.

    What failed is cut in two. When the first part succeeds, the second must hold the fault and is cut at once,
    without being run. When it fails, nothing is known of the second: such leftovers are run together in the end.
    When faults turn out to be many, the rest goes one by one, which is then the cheaper way.

    `first` says how many of so many, one of them at fault, to run first. Ask `next` and tell the outcome with
    `told`, in turn.
    """

    def __init__(self, count: int, first: Callable[[int], int] = lambda count: count // 2) -> None:
        self._count = count
        self._cut = first
        self._faults = 0
        self._singly = False
        # start, end, whether the fault is known to lie in it; the next one last
        self._waiting: List[Tuple[int, int, bool]] = [(0, count, True)]
        self._now = (0, 0)
        self._first = False  # what runs now is the first part of something that failed

    def next(self) -> Optional[Tuple[int, int]]:
        """Start and end of the next part; None: all have been run."""
        if not self._waiting:
            return None
        start, end, faulty = self._waiting.pop()
        if not faulty:  # what is left over lies side by side
            while self._waiting and not self._waiting[-1][2]:
                end = self._waiting.pop()[1]
        self._first = False
        while end - start > 1 and (faulty or self._singly):
            middle = start + (1 if self._singly else self._cut(end - start))
            self._waiting.append((middle, end, False))
            end, faulty = middle, False
            self._first = not self._singly
        self._now = (start, end)
        return self._now

    def told(self, succeeded: bool) -> None:
        """How the part that `next` gave last went."""
        start, end = self._now
        if succeeded:
            if self._first:  # the other part waits at the top
                other, last, _ = self._waiting.pop()
                self._waiting.append((other, last, True))
        elif end - start > 1:
            self._waiting.append((start, end, True))
        else:
            self._faults += 1
            many = self._faults >= MANY and self._faults * self._count.bit_length() > end
            self._singly = self._singly or many

    def singly(self) -> None:
        """Run all that is left one by one: each such call has a limit of its own."""
        self._singly = True


class Fingerprints:
    """Bodies that made a batch fail: for SECONDS they run alone. At most MOST are kept, the newest."""

    def __init__(self) -> None:
        self._until: Dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, body: Union[bytes, bytearray], now: float) -> None:
        """`now` in seconds, of any steady clock."""
        mark = _mark(body)
        self._until.pop(mark, None)
        if len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[mark] = now + SECONDS

    def known(self, body: Union[bytes, bytearray], now: float) -> bool:
        mark = _mark(body)
        until = self._until.get(mark)
        if until is None:
            return False
        if until < now:
            del self._until[mark]
            return False
        return True

    def forget(self, body: Union[bytes, bytearray]) -> None:
        """It has succeeded alone."""
        self._until.pop(_mark(body), None)


def _mark(body: Union[bytes, bytearray]) -> int:
    """Python's own hash, keyed anew in every process: nobody outside can make two bodies collide."""
    return hash(bytes(body))
