"""When requests come: seeded, `count` of them at a mean of `rate` a second, from time 0 on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

BURST = 16  # requests in the mean
Arrivals = Callable[[float, int, int], list[float]]


def steady(rate: float, count: int, seed: int) -> list[float]:
    """One each period, up to a tenth of it late."""
    chance = random.Random(seed)
    return [(place + 0.1 * chance.random()) / rate for place in range(count)]


def poisson(rate: float, count: int, seed: int) -> list[float]:
    """Independent of each other."""
    chance = random.Random(seed)
    return list(_sums(chance.expovariate(rate) for _ in range(count)))


def bursts(gap: float) -> Arrivals:
    """Bursts at random moments, of random sizes around BURST, with `gap` seconds in the mean inside one."""

    def arrivals(rate: float, count: int, seed: int) -> list[float]:
        chance = random.Random(seed)
        found: list[float] = []
        start = 0.0
        while len(found) < count:
            start += chance.expovariate(rate / BURST)
            size = 1 + int(chance.expovariate(1 / (BURST - 0.5)))
            found += [start, *_sums((chance.expovariate(1 / gap) for _ in range(size - 1)), start)]
        return sorted(found)[:count]

    return arrivals


def _sums(steps: Iterator[float], start: float = 0.0) -> Iterator[float]:
    for step in steps:
        start += step
        yield start
