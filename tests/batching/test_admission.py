"""Who is let in: by the predicted wait, the deadline and the limit of requests in flight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference_server.batching.accuracy import LEAST_MARGIN
from inference_server.batching.admission import TOO_LATE, TOO_LONG, TOO_MANY, Admission, Limits, Load

MAX_ROWS = 8


def seconds(rows: float) -> float:
    """Of a batch: 1 s and 0.1 s a row."""
    return 1.0 + 0.1 * rows


def admission(max_concurrent: int = 0, max_wait: float = 0.0, known: bool = True) -> Admission:
    return Admission(Limits(max_concurrent, max_wait), MAX_ROWS, seconds, lambda: known)


IDLE = Load(in_flight=0, waiting=0, busy=[0.0])


def test_without_limits_it_need_not_be_asked() -> None:
    assert not admission().limited
    assert admission(max_concurrent=1).limited
    assert admission(max_wait=1.0).limited


def test_the_wait_is_what_is_running_and_full_batches_before() -> None:
    known = admission()
    assert known.forecast(1, IDLE) == (0.0, seconds(1))
    assert known.forecast(1, Load(9, 3, [0.5])).wait == 0.5
    assert known.forecast(1, Load(99, 16, [0.5])).wait == 0.5 + 2 * seconds(8)
    assert known.forecast(4, Load(99, 21, [0.5])).wait == 0.5 + 3 * seconds(
        8
    )  # it does not fit into the third
    assert known.forecast(1, Load(99, 32, [0.5, 0.5])).wait == 0.5 + 2 * seconds(8)
    assert (
        known.forecast(1, Load(99, 8, [0.9, 0.5])).wait == 0.9
    )  # the first one free takes those that wait now


def test_a_deadline_that_would_be_missed_is_refused_with_the_time_until_it_would_not() -> None:
    load = Load(99, 16, [0.5])
    answer = 0.5 + 2 * seconds(8) + seconds(2)
    late = answer * (1 + LEAST_MARGIN)
    assert admission().refuse(100.0, 100.0 + late + 0.01, 1, load) is None
    refusal = admission().refuse(100.0, 100.0 + late - 1.3, 1, load)
    assert refusal == (429, 2, TOO_LATE)
    barely = admission().refuse(100.0, 100.0 + late - 0.01, 1, load)
    assert barely == (429, 1, TOO_LATE)
    assert admission().refuse(100.0, 0.0, 1, load) is None


def test_a_wait_over_the_limit_is_refused() -> None:
    load = Load(99, 16, [0.5])  # 4.1 s
    assert admission(max_wait=4.2).refuse(0.0, 0.0, 1, load) is None
    assert admission(max_wait=2.0).refuse(0.0, 0.0, 1, load) == (429, 3, TOO_LONG)


def test_twice_the_concurrency_of_all_workers_may_be_in_flight() -> None:
    limited = admission(max_concurrent=3)
    assert limited.refuse(0.0, 0.0, 1, Load(11, 0, [0.0, 0.0])) is None
    assert limited.refuse(0.0, 0.0, 1, Load(12, 9, [2.5, 2.5])) == (429, 3, TOO_MANY)
    assert limited.refuse(0.0, 0.0, 1, Load(12, 9, [0.0, 0.0])) == (429, 2, TOO_MANY)
    unknown = Admission(Limits(1), 1, lambda rows: 0.0, lambda: False)
    assert unknown.refuse(0.0, 0.0, 1, Load(2, 0, [0.0])) == (429, 1, TOO_MANY)


def test_an_idle_worker_takes_anything_and_nothing_is_refused_before_a_time_is_known() -> None:
    assert admission(max_wait=0.001).refuse(100.0, 100.001, 1, IDLE) is None
    assert admission(known=False).refuse(100.0, 100.001, 1, Load(99, 1000, [9.0])) is None


@given(
    st.integers(1, 8),
    st.floats(0, 10_000),
    st.lists(st.floats(0, 100), min_size=1, max_size=4),
    st.floats(0.001, 1000),
)
def test_who_is_let_in_is_predicted_in_time_and_who_is_not_is_told_when(
    rows: int, waiting: float, busy: list[float], timeout: float
) -> None:
    known = admission()
    load = Load(1000, waiting, busy)
    refusal = known.refuse(0.0, timeout, rows, load)
    forecast = known.forecast(rows, load)
    assert forecast.answer >= forecast.wait + seconds(rows)
    if refusal is None:
        assert forecast.answer <= timeout or not (waiting or min(busy))
    else:
        assert refusal.retry_after >= 1
        later = forecast.answer * (1 + LEAST_MARGIN) - timeout
        assert refusal.retry_after >= later
        assert refusal.retry_after < later + 1
