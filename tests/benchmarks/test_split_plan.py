"""The least cost of a batch with poison in it, against cases that can be worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.limits.split_plan import best


def test_with_hardly_any_poison_the_whole_batch_is_one_call() -> None:
    assert best(32, 1e-12, lambda rows: 10 + rows, lambda rows: 1000) == pytest.approx(42 / 32)


def test_where_calls_cost_only_their_rows_each_runs_alone() -> None:
    assert best(8, 0.5, float, float) == pytest.approx(8 / (8 * 0.5))


def test_two_requests_by_hand() -> None:
    poison, passes, raises = 0.1, 5.0, 4.0
    good = 1 - poison
    together = (
        good**2 * passes
        + (1 - good**2) * raises
        # the first alone passes: the second is the poison and gets its own call
        + good * poison * (passes + raises)
        # the first alone raises: nothing is known of the second
        + poison * (raises + good * passes + poison * raises)
    )
    apart = 2 * (good * passes + poison * raises)
    found = best(2, poison, lambda rows: passes, lambda rows: raises)
    assert found == pytest.approx(min(together, apart) / (2 * good))


def test_poison_that_shows_at_once_costs_less() -> None:
    def passes(rows: int) -> float:
        return 10 + 0.5 * rows

    late, early = best(32, 0.01, passes, passes), best(32, 0.01, passes, lambda rows: 0.1)
    assert passes(32) / 32 < early < late < 2.1 * passes(32) / 32
