"""The rule: most requests within the budgets; of what is as good, the least latency, then the fewest workers."""

from __future__ import annotations

from inference_server.tuning.choose import best_of_each, choose
from inference_server.tuning.facts import Budget
from tests.tuning.model import MIB, point

ANY = Budget()


def test_the_most_requests_win() -> None:
    assert choose([point(1, rate=100), point(8, rate=300), point(4, rate=200)], ANY) == point(8, rate=300)


def test_what_is_over_a_budget_does_not_count() -> None:
    slow, large = point(8, rate=300, p99=60), point(4, rate=250, memory=900 * MIB)
    fits = point(2, rate=200, p99=50, memory=800 * MIB)
    budget = Budget(latency_ms=50, memory=800 * MIB)
    assert choose([slow, large, fits], budget) == fits
    assert choose([slow, large], budget) is None
    assert choose([], budget) is None


def test_among_those_within_five_percent_the_least_latency_wins() -> None:
    best, prompt, slower = (
        point(32, rate=1000, p99=40),
        point(16, rate=951, p99=20),
        point(8, rate=949, p99=5),
    )
    assert choose([best, prompt, slower], ANY) == prompt


def test_among_equal_latencies_the_fewest_workers_win_then_the_smaller_batch() -> None:
    two, one, small = (
        point(8, 2, 1000, 10.0),
        point(16, 1, 980, 10.4),
        point(8, 1, 960, 10.3),
    )
    assert choose([two, one, small], ANY) == small
    assert choose([two, one], ANY) == one


def test_an_unknown_memory_keeps_to_any_budget() -> None:
    assert choose([point(memory=0)], Budget(memory=MIB)) is not None


def test_each_configuration_is_shown_by_its_best_load_in_the_order_of_measuring() -> None:
    points = [
        point(4, rate=100, p99=5, callers=4),
        point(4, rate=200, p99=10, callers=8),
        point(4, rate=201, p99=60, callers=16),
        point(1, rate=50, p99=80, callers=2),
        point(1, rate=40, p99=70, callers=1),
    ]
    best = best_of_each(points, Budget(latency_ms=50))
    assert [(one.batch, shown.callers) for one, shown in best.items()] == [(4, 8), (1, 1)]
