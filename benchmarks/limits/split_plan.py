"""What a batch with poison in it costs at least: the best plan of which requests to run together, found by search.

Of `size` requests each is poison with the same chance. A plan runs some of them in one call. The call passes, and those
are answered; or it raises, and only that one of them is poison is known. A poisoned request is done when its call of its
own has raised. The search is exact for plans that split the group that raised before they go on to others (the nested
plans of group testing): what is left over when a part of the group has raised is again as good as new.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

Seconds = Callable[[int], float]  # of a call with so many requests


def best(size: int, poison: float, passes: Seconds, raises: Seconds) -> float:
    """Least expected seconds for each good one of `size` requests; calls that pass and that raise have their own times."""
    good = 1 - poison

    @cache
    def fresh(left: int) -> float:
        """`left` requests of which nothing is known."""
        if left == 0:
            return 0.0
        return min(call(left, together) for together in range(1, left + 1))

    def call(left: int, together: int) -> float:
        passed = good**together
        return passed * (passes(together) + fresh(left - together)) + (1 - passed) * (
            raises(together) + spoiled(together, left)
        )

    @cache
    def spoiled(group: int, left: int) -> float:
        """At least one of the first `group` of `left` is poison; their call has raised."""
        if group == 1:
            return fresh(left - 1)
        return min(split(group, left, part) for part in range(1, group))

    def split(group: int, left: int, part: int) -> float:
        passed = (good**part - good**group) / (1 - good**group)
        after = passes(part) + (spoiled(group - part, left - part) if group - part > 1 else last(left - part))
        return passed * after + (1 - passed) * (raises(part) + spoiled(part, left))

    def last(left: int) -> float:
        """The first of `left` must be the poison: it still gets its own call, for its own error."""
        return raises(1) + fresh(left - 1)

    return fresh(size) / (size * good)
