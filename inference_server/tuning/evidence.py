"""Why a configuration is recommended, in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping

from inference_server.load.figures import megabytes, milliseconds, plural, rate, times
from inference_server.tuning.facts import Budget, Configuration, Point


def evidence(chosen: Point, best: Mapping[Configuration, Point], budget: Budget) -> str:
    """What speaks for `chosen`, and what the next larger batch and the next number of workers would bring.

    `best` has the point that shows each configuration best.
    """
    one = chosen.configuration
    base = best.get(Configuration(1, 1), chosen)
    gain = f"{rate(chosen.rate)} requests a second"
    if one != base.configuration:
        gain = f"{times(chosen.rate / base.rate)} × the rate of batch 1 with 1 worker"
    at = f"at p99 {milliseconds(chosen.p99)} with {plural(chosen.callers, 'caller')}"
    others = [best[other] for other in _next(one, best)]
    more = [f"{_name(point.configuration)} {_difference(point, chosen, budget)}" for point in others]
    return "; ".join([f"{_name(one)}: {gain} {at}", *more]) + "."


def nothing_fits(best: Mapping[Configuration, Point], budget: Budget) -> str:
    """Which configuration came closest to a budget that none keeps to."""
    least = min(best.values(), key=lambda point: point.p99)
    if not any(budget.in_time(point) for point in best.values()):
        return (
            f"No configuration keeps to {milliseconds(budget.latency_ms)}. The closest is {_name(least.configuration)}: "
            f"p99 {milliseconds(least.p99)} with {plural(least.callers, 'caller')}."
        )
    small = min(best.values(), key=lambda point: point.memory)
    return (
        f"No configuration keeps to {megabytes(budget.memory)} of memory. The smallest is {_name(small.configuration)}: "
        f"{megabytes(small.memory)}."
    )


def _next(one: Configuration, best: Mapping[Configuration, Point]) -> list[Configuration]:
    """The next larger batch and the next larger number of workers that were measured."""
    larger = [c for c in best if c.workers == one.workers and c.batch > one.batch]
    wider = [c for c in best if c.batch == one.batch and c.workers > one.workers]
    return [*sorted(larger)[:1], *sorted(wider)[:1]]


def _difference(other: Point, chosen: Point, budget: Budget) -> str:
    if not budget.in_memory(other.memory):
        return f"needs {megabytes(other.memory)}, more than allowed"
    if not budget.in_time(other):
        return f"has p99 {milliseconds(other.p99)}, more than allowed"
    gain, cost = other.rate / chosen.rate - 1, other.p99 / chosen.p99 - 1
    text = f"gives {_share(gain)}" if abs(gain) >= 0.01 else "gives as much"
    text += f" for {_share(cost)} latency" if abs(cost) >= 0.01 else " at the same latency"
    heavier = other.memory - chosen.memory
    return text + (f" and {megabytes(heavier)} more memory" if heavier > 0.1 * chosen.memory else "")


def _share(change: float) -> str:
    return f"{abs(change) * 100:.0f} % {'more' if change > 0 else 'less'}"


def _name(configuration: Configuration) -> str:
    return f"batch {configuration.batch} with {plural(configuration.workers, 'worker')}"
