"""Where a failed batch is cut, so that taking it apart costs as little run() time as may be."""

from __future__ import annotations

from typing import Dict, List, Tuple

RATE = 0.01  # share of faulty requests the plan reckons with; it hardly depends on it
LARGEST = 256  # requests; larger groups are halved
SMOOTHING = 0.2
RENEW = 64  # calls after which a plan is made again
EARLY = 0.002  # a raise takes at least this share of a run that succeeds


class Cuts:
    """How many of the requests that hold a fault to run first: by what run() takes for how many, as it is learned.

    Halves are best where a call costs nearly the same for any number. Where few are far cheaper than many, small
    parts are, above all when the fault shows late in a call. Where it shows early, large parts are: a call that
    raises is cheap then, and one that succeeds answers many. The plan is the cheapest of those that cut in the
    middle, or off one end as many as a power of two, and that skip what follows from what is known: when the first
    part succeeds, the fault is in the rest.
    """

    def __init__(self) -> None:
        self._seen: Dict[int, Tuple[float, float]] = {}  # by power of two: requests, seconds
        self._raise_share = 0.5  # of a whole run() that passes until it raises
        self._calls = 0
        self._planned = 0
        self._plan: List[int] = []

    def ran(self, count: int, seconds: float) -> None:
        """A call of run() for `count` requests succeeded after so long."""
        self._calls += 1
        place = count.bit_length()
        requests, known = self._seen.get(place, (count, seconds))
        self._seen[place] = (requests + SMOOTHING * (count - requests), known + SMOOTHING * (seconds - known))

    def raised(self, count: int, seconds: float) -> None:
        """A call for `count` merged requests raised after so long."""
        self._calls += 1
        whole = self._curve(count)[count] if self._seen else 0.0
        if whole > 0:
            share = min(1.0, max(EARLY, seconds / whole))
            self._raise_share += SMOOTHING * (share - self._raise_share)

    def first(self, count: int) -> int:
        """How many of `count` requests (2 or more), at least one of them faulty, to run first: 1 … count - 1."""
        if count > LARGEST or len(self._seen) < 2:
            return count // 2
        if count >= len(self._plan) or self._calls - self._planned > RENEW:
            self._planned = self._calls
            self._plan = _plan(self._curve(count), self._raise_share)
        return self._plan[count]

    def _curve(self, most: int) -> List[float]:
        """Seconds for 0 … `most` requests: straight lines through what was seen, never falling."""
        points = sorted(self._seen.values())
        if len(points) == 1:  # one size seen: as if each request cost the same
            count, seconds = points[0]
            points = [(0.0, 0.0), (count, seconds), (2 * count, 2 * seconds)]
        else:  # what a call costs for nothing: were it left out, few requests would look far too cheap
            (count, low), (more, high) = points[:2]
            fixed = low - count * (high - low) / max(1e-9, more - count)
            points = [(0.0, min(max(fixed, 0.0), low)), *points]
        curve: List[float] = []
        at = 1
        for count in range(most + 1):
            while at < len(points) - 1 and points[at][0] < count:
                at += 1
            (before, low), (after, high) = points[at - 1], points[at]
            seconds = low + (high - low) * (count - before) / max(1e-9, after - before)
            curve.append(max(seconds, curve[-1] if curve else 0.0))
        return curve


def _plan(seconds: List[float], raise_share: float) -> List[int]:
    """For each number of requests that hold a fault, how many of them to run first.

    A dynamic programme: `faulty[n]` is the expected cost of n requests of which at least one is faulty. Of what is
    left over nothing is known. It is run with all else that is, so that each costs what one more in a call does.
    """
    most = len(seconds) - 1
    one_more = (seconds[most] - seconds[most // 2]) / (most - most // 2)
    good = [(1 - RATE) ** count for count in range(most + 1)]
    faulty = [0.0, raise_share * seconds[1]]
    first = [0, 0]
    for count in range(2, most + 1):
        best, chosen = float("inf"), 0
        for part in _sizes(count):
            clean = (good[part] - good[count]) / (1 - good[count])
            failed = raise_share * seconds[part] + (faulty[part] if part > 1 else 0.0)
            cost = clean * (seconds[part] + faulty[count - part]) + (1 - clean) * (
                failed + one_more * (count - part)
            )
            if cost < best:
                best, chosen = cost, part
        faulty.append(best)
        first.append(chosen)
    return first


def _sizes(count: int) -> List[int]:
    few = [1 << power for power in range((count // 2).bit_length())]
    return [*few, count // 2, *(count - size for size in few)]
