"""What is learned from batches: rows of bodies, times of batches, the wait that pays, the errors of predictions."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.batching.accuracy import LEAST_MARGIN, Accuracy, Forecast
from inference_server.batching.rows import Rows
from inference_server.batching.timing import KEPT, BatchTime, Timings
from inference_server.batching.wait import Wait, replay
from tests.batching.making import make

# ---------------------------------------------------------------- rows


def test_until_a_batch_is_seen_a_request_is_one_row() -> None:
    rows = Rows()
    assert rows.of(make(1_000_000)) == rows.of_body(0) == 1
    assert rows.of_many(7, 5_000) == 7


def test_rows_of_one_length_are_found_by_bytes_whatever_stands_around_them() -> None:
    rows = Rows()
    chance = random.Random(0)
    for _ in range(30):
        counts = [chance.randint(1, 20) for _ in range(chance.randint(1, 10))]
        rows.observe(len(counts), sum(counts), sum(30 + 50 * count for count in counts))
    assert [rows.of_body(30 + 50 * count) for count in (1, 5, 20)] == [1, 5, 20]
    assert rows.of_body(30 + 50 * 100) == pytest.approx(100, rel=0.05)
    assert rows.of_many(3, 3 * 30 + 50 * 12) == 12


def test_texts_of_any_length_stay_one_row() -> None:
    rows = Rows()
    chance = random.Random(0)
    for _ in range(30):
        sizes = [chance.randint(10, 10_000) for _ in range(chance.randint(1, 10))]
        rows.observe(len(sizes), len(sizes), sum(sizes))
    assert rows.of_body(10) == rows.of_body(1_000_000) == 1


def test_from_bodies_of_one_size_alone_it_goes_by_bytes() -> None:
    rows = Rows()
    for count in (1, 3, 8):
        rows.observe(count, 4 * count, 400 * count)
    assert rows.of_body(400) == 4
    assert 6 <= rows.of_body(800) <= 8


def test_an_exact_count_wins() -> None:
    rows = Rows(exact=lambda request: 17 if request.body_bytes == 5 else 0)
    assert (rows.of(make(5)), rows.of(make(6))) == (17, 1)


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(1, 10_000), st.integers(0, 10**8)), max_size=40))
def test_whatever_is_observed_a_request_has_a_row(seen: list[tuple[int, int, int]]) -> None:
    rows = Rows()
    for requests, count, size in seen:
        rows.observe(requests, max(requests, count), size)
    for size in (0, 1, 1000, 10**8):
        assert rows.of_body(size) >= 1
        assert rows.of_many(5, 5 * size) >= 5


# ---------------------------------------------------------------- times


def affine(rows: float) -> float:
    return 0.003 + 0.0002 * rows


def test_the_times_that_were_seen_are_predicted_and_what_lies_between() -> None:
    timing = BatchTime()
    chance = random.Random(0)
    for _ in range(600):
        rows = chance.randint(1, 64)
        timing.observe(rows, affine(rows) * chance.gauss(1, 0.05))
    for rows in (1, 3, 10, 33, 64):
        assert timing.predict(rows) == pytest.approx(affine(rows), rel=0.08)
    assert timing.predict(128) == pytest.approx(affine(128), rel=0.15)


def test_slow_exceptions_do_not_move_it() -> None:
    timing = BatchTime()
    timing.observe(8, 5.0)  # the first call loads something
    for place in range(40):
        timing.observe(8, 0.5 if place % 8 == 3 else affine(8))
    assert timing.predict(8) == pytest.approx(affine(8))


def test_it_follows_a_change_and_takes_the_sizes_not_seen_since_with_it() -> None:
    timing = BatchTime()
    for _ in range(50):
        for rows in (1, 8, 32):
            timing.observe(rows, affine(rows))
    for _ in range(KEPT):
        timing.observe(8, 5 * affine(8))
    assert timing.predict(8) == pytest.approx(5 * affine(8), rel=0.35)
    assert timing.predict(32) >= timing.predict(8)


def test_beyond_what_was_seen_it_does_not_flatter() -> None:
    timing = BatchTime()
    assert timing.predict(4) == 0.0
    timing.observe(8, 0.08)
    assert (timing.predict(1), timing.predict(8), timing.predict(16)) == (0.08, 0.08, pytest.approx(0.16))
    timing.observe(16, 0.12)
    assert timing.predict(32) == pytest.approx(0.2)
    assert timing.predict(4) == pytest.approx(0.06)


@given(st.lists(st.tuples(st.integers(1, 300), st.floats(1e-6, 10)), min_size=1, max_size=60))
def test_more_rows_never_take_less_time(seen: list[tuple[int, float]]) -> None:
    timing = BatchTime()
    for each in seen:
        timing.observe(*each)
    predicted = [timing.predict(rows) for rows in range(1, 400)]
    assert all(before <= after + 1e-9 for before, after in pairwise(predicted))
    assert all(seconds >= 0 for seconds in predicted)


def test_classes_are_apart_and_bounded() -> None:
    timings = Timings(most=3)
    for key in range(10):
        timings.observe(key, 4, 0.01 * (key + 1))
    assert timings.predict(9, 4) == pytest.approx(0.1)
    assert len(timings._classes) == 3
    assert timings.predict("new", 4) == timings.overall.predict(4) > 0


# ---------------------------------------------------------------- the wait


def play(wait: Wait, arrivals: list[float]) -> float:
    for at in arrivals:
        wait.arrived(at)
        wait.learn(at)
    return wait.delay


def test_a_wait_is_learned_where_bursts_come_to_an_idle_worker() -> None:
    bursts = [0.1 * burst + 0.0001 * place for burst in range(200) for place in range(10)]
    wait = Wait(64, lambda rows: 0.004)
    assert 0.0005 <= play(wait, bursts) <= 0.004


def test_none_is_spent_on_lone_requests_and_none_before_a_batch_was_seen() -> None:
    chance = random.Random(0)
    moments = sorted(chance.uniform(0, 200) for _ in range(2000))
    assert play(Wait(64, lambda rows: 0.004), moments) == 0.0
    assert play(Wait(64, lambda rows: 0.0), moments) == 0.0


def test_it_is_given_up_when_the_bursts_are_over() -> None:
    wait = Wait(64, lambda rows: 0.004)
    assert play(wait, [0.1 * burst + 0.0001 * place for burst in range(200) for place in range(10)])
    assert play(wait, [20 + 0.01 * place for place in range(3000)]) == 0.0


def test_replay_serves_everybody_once_within_the_wait_and_the_size() -> None:
    arrivals = [0.0, 0.1, 0.2, 5.0, 5.05]
    assert replay(arrivals, 1.0, 2, [0.0, 1.0, 1.5]) == pytest.approx([1.6, 1.5, 2.4, 1.55, 1.5])


# ---------------------------------------------------------------- how good it was


def test_the_error_of_the_waits_is_known() -> None:
    accuracy = Accuracy()
    assert accuracy.error() == 0.0
    for place in range(100):
        request = make()
        accuracy.expect(request, Forecast(1.0, 1.5))
        accuracy.answered(request, 1.25 if place < 20 else 1.0, 1.6)
    assert accuracy.error(0.9) == pytest.approx(0.2)
    assert accuracy.error(0.5) == 0.0
    assert len(accuracy) == 100


def test_the_margin_grows_with_late_answers_and_shrinks_with_timely_ones() -> None:
    accuracy = Accuracy()
    forecast = Forecast(1.0, 2.0)

    def answer(seconds: float, times: int) -> float:
        for _ in range(times):
            request = make()
            accuracy.expect(request, forecast)
            accuracy.answered(request, seconds - 1.0, seconds)
        return accuracy.margin(forecast)

    assert accuracy.margin(forecast) == 2 * LEAST_MARGIN
    wide = answer(2.5, 1000)
    assert wide == pytest.approx(0.5, abs=0.01)
    assert answer(2.0, 5000) < wide
    assert answer(2.0, 100_000) == 2 * LEAST_MARGIN


def test_those_that_ran_out_of_time_count_and_those_that_left_do_not() -> None:
    accuracy = Accuracy()
    for _ in range(50):
        for tell in (lambda request: accuracy.missed(request, 1.5), accuracy.forget):
            request = make()
            accuracy.expect(request, Forecast(1.0, 2.0))
            tell(request)
    assert accuracy.margin(Forecast(1.0, 2.0)) > 2 * LEAST_MARGIN
    assert not accuracy._open
