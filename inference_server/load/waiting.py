"""Waiting for sockets to a fraction of a millisecond.

Selectors round their time-out up to whole milliseconds: too coarse for requests that are due at exact times. `select`
itself is exact, but slow with many sockets; so it waits for the selector, which is a file like any other.
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable

Ready = list[tuple[selectors.SelectorKey, int]]
_MOST = 1024  # file numbers that `select` takes


def ready(selector: selectors.BaseSelector, exact: bool) -> Callable[[float], Ready]:
    """A function that waits so many seconds at most and returns what is ready."""
    number = selector.fileno() if exact and hasattr(selector, "fileno") else _MOST
    if number >= _MOST:
        return selector.select

    def wait(seconds: float) -> Ready:
        select.select([number], (), (), seconds)
        return selector.select(0)

    return wait
