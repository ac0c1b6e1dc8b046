"""Which of the measured configurations is recommended.

The most requests a second within the budgets wins. What comes within 5 % of that is as good: among those it is the
one with the least latency, and among those whose latency is within 5 % of that the one with fewer workers, then the
smaller batch, since they cost less memory and change less.
"""

from __future__ import annotations

from collections.abc import Iterable

from inference_server.tuning.facts import Budget, Configuration, Point

AS_GOOD = 0.05  # differences up to that share are no difference: two runs of one configuration differ as much


def choose(points: Iterable[Point], budget: Budget) -> Point | None:
    """The recommended configuration, at the load that shows it best; None: nothing keeps to `budget`."""
    allowed = [point for point in points if budget.allows(point)]
    if not allowed:
        return None
    most = max(point.rate for point in allowed)
    fast = [point for point in allowed if point.rate >= most * (1 - AS_GOOD)]
    least = min(point.p99 for point in fast)
    prompt = [point for point in fast if point.p99 <= least * (1 + AS_GOOD)]
    return min(
        prompt, key=lambda point: (point.configuration.workers, point.configuration.batch, -point.rate)
    )


def best_of_each(points: Iterable[Point], budget: Budget) -> dict[Configuration, Point]:
    """The point that shows each configuration best, in the order they were measured first.

    It is chosen as `choose` does; where nothing keeps to the budget it is the one with the least latency.
    """
    by: dict[Configuration, list[Point]] = {}
    for point in points:
        by.setdefault(point.configuration, []).append(point)
    return {
        configuration: choose(own, budget) or min(own, key=lambda point: point.p99)
        for configuration, own in by.items()
    }
