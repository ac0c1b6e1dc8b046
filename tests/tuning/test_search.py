"""What is measured next: enough to find the best, and little more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.tuning.choose import choose
from inference_server.tuning.facts import Budget, Configuration
from inference_server.tuning.search import MOST_CALLERS, Limits, callers, doubled
from tests.tuning.model import MIB, Formula, point, walk

ANY = Budget()


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, [1]), (2, [1, 2]), (64, [1, 2, 4, 8, 16, 32, 64]), (6, [1, 2, 4, 6])]
)
def test_sizes_are_doubled_up_to_the_limit_itself(most: int, sizes: list[int]) -> None:
    assert doubled(most) == sizes


def test_batches_grow_as_long_as_they_pay() -> None:
    walked = walk(Formula(fixed=10, each=0.01), Limits(64, 1), ANY)
    assert [one.batch for one in walked.configurations] == [1, 2, 4, 8, 16, 32, 64]


def test_three_sizes_that_do_not_pay_are_enough() -> None:
    walked = walk(Formula(fixed=0, each=1), Limits(64, 1), ANY)
    assert [one.batch for one in walked.configurations] == [1, 2, 4, 8]


def test_workers_are_added_as_long_as_they_pay() -> None:
    walked = walk(Formula(fixed=1, each=1, processors=4), Limits(1, 32), ANY)
    assert [one.workers for one in walked.configurations] == [1, 2, 4, 8]


def test_requests_that_share_no_call_are_tuned_by_workers_only() -> None:
    walked = walk(Formula(fixed=10, each=0.01, processors=4, merges=False), Limits(64, 4), ANY)
    assert walked.configurations == [Configuration(*pair) for pair in [(1, 1), (1, 2), (2, 1), (4, 1)]]


def test_more_workers_than_memory_allows_are_not_started() -> None:
    walked = walk(
        Formula(fixed=1, each=1, processors=8, worker_mib=100), Limits(1, 8), Budget(memory=400 * MIB)
    )
    assert [one.workers for one in walked.configurations] == [1, 2]
    assert walked.search.skipped == (Configuration(4, 1), 460 * MIB)


def test_what_nobody_answers_in_time_ends_soon() -> None:
    walked = walk(Formula(fixed=100, each=1, processors=8), Limits(64, 8), Budget(latency_ms=50))
    assert len(walked.configurations) == 3
    assert choose(walked.points, Budget(latency_ms=50)) is None


@given(
    fixed=st.floats(0, 50),
    each=st.floats(0.01, 20),
    processors=st.sampled_from([1, 2, 4, 8]),
    latency=st.sampled_from([0.0, 20.0, 100.0, 1000.0]),
    memory=st.sampled_from([0, 300 * MIB]),
)
def test_the_search_finds_what_measuring_everything_would(
    fixed: float, each: float, processors: int, latency: float, memory: int
) -> None:
    formula, limits, budget = (
        Formula(fixed, each, processors),
        Limits(64, processors),
        Budget(latency, memory),
    )
    walked = walk(formula, limits, budget)
    assert len(set(walked.configurations)) == len(walked.configurations)
    found, best = choose(walked.points, budget), formula.exhaustive(limits, budget)
    assert (found is None) == (best is None)
    if found and best:
        assert found.rate >= 0.85 * best.rate
        assert len(walked.configurations) <= 8 + 4 * 3


def test_callers_are_doubled_while_it_pays_and_all_are_answered_in_time() -> None:
    steps = callers(Configuration(2, 8), Budget(latency_ms=50))
    assert next(steps) == 16
    assert steps.send(point(8, 2, rate=100, p99=10)) == 32
    assert steps.send(point(8, 2, rate=150, p99=20)) == 64
    with pytest.raises(StopIteration):
        steps.send(point(8, 2, rate=155, p99=49))


def test_callers_are_halved_until_they_are_answered_in_time() -> None:
    steps = callers(Configuration(1, 4), Budget(latency_ms=50))
    assert next(steps) == 4
    assert steps.send(point(4, p99=200)) == 2
    assert steps.send(point(4, p99=100)) == 1
    with pytest.raises(StopIteration):
        steps.send(point(4, p99=60))


def test_callers_have_an_end() -> None:
    steps = callers(Configuration(16, 64), ANY)
    assert next(steps) == MOST_CALLERS
    with pytest.raises(StopIteration):
        steps.send(point(64, 16, rate=100))
