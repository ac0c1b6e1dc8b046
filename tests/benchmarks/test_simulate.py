"""The simulator: it serves everybody, agrees with the rule its search uses, and keeps what the page promises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulate import crowd, poison, sweep
from benchmarks.simulate.arrivals import bursts, poisson, steady
from benchmarks.simulate.engine import Plan, Simulation
from benchmarks.simulate.tables import load, names
from inference_server.batching.admission import Limits
from inference_server.batching.wait import replay

MAX_ROWS = 16


def test_batch_times_never_fall_with_more_rows() -> None:
    for name in names():
        table = load(name)
        assert all(table.seconds(rows) <= table.seconds(rows + 1) + 1e-12 for rows in range(1, 256))


@pytest.mark.parametrize("kind", [steady, poisson, bursts(0.0001)])
@pytest.mark.parametrize("delay", [0.0, 0.002])
def test_the_code_that_serves_does_what_the_search_assumes(kind: object, delay: float) -> None:
    table = load("forest")
    arrivals = kind(0.5 * table.capacity(MAX_ROWS), 2000, 3)  # type: ignore[operator]
    seconds = [0.0, *(table.seconds(rows) for rows in range(1, MAX_ROWS + 1))]
    outcome = Simulation(Plan(table, MAX_ROWS, delay=delay)).run(arrivals)
    assert sorted(outcome.latencies) == pytest.approx(sorted(replay(arrivals, delay, MAX_ROWS, seconds)))


@given(
    st.integers(0, 1000),
    st.floats(0.2, 3),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([0.0, 0.03]),
    st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=40, deadline=None)
def test_everybody_comes_to_one_end(
    seed: int, over: float, workers: int, learned: bool, timeout: float, leavers: float
) -> None:
    table = load("forest")
    plan = Plan(
        table,
        MAX_ROWS,
        workers,
        learned=learned,
        timeout=timeout,
        limits=Limits(max_wait=0.05) if timeout else None,
        noise=0.1,
        leavers=leavers,
        patience=0.01,
        seed=seed,
    )
    outcome = Simulation(plan).run(poisson(over * table.capacity(MAX_ROWS), 400, seed))
    assert len(outcome.latencies) + outcome.late + outcome.refused + outcome.left == 400
    assert outcome.waiting == 0
    assert not timeout or max(outcome.latencies, default=0.0) <= timeout + 1e-9


def test_the_learned_wait_serves_bursts_as_the_best_fixed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "BURST_COUNT", 20_000)
    point = sweep.point("forest", "tight bursts", 0.05)
    assert point.take_all.mean > 1.1 * point.best.mean
    assert point.learned.mean < 1.05 * point.best.mean
    assert point.learned.p99 < 1.1 * point.best.p99
    monkeypatch.setattr(sweep, "COUNT", 5_000)
    lone = sweep.point("forest", "Poisson", 0.001)
    assert lone.learned == lone.take_all


def test_a_failed_batch_costs_little_more_than_under_the_best_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poison, "BATCHES", 3000)
    for raises in poison.RAISES:
        cost = poison.cost("wide", raises)
        assert cost.clean < cost.best <= 1.02 * cost.ours
        assert cost.ours <= 1.1 * cost.best


def test_those_who_left_cost_nothing_and_those_too_many_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "COUNT", 20_000)
    leaving = crowd.leaving("mlp")
    assert leaving.ours >= 1.8 * leaving.keeps_working
    assert leaving.waiting == 0
    overload = crowd.overload("mlp", 2, 5)
    assert overload.goodput >= 0.9  # the first and the last batches of so short a run are not full
    assert overload.p99 <= 1.0
    assert overload.late <= 0.05
    assert overload.wait_error <= 0.2
