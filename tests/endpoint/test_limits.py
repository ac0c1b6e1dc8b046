"""How many requests are taken: buckets on a clock of the test's own; and what a model's errors become."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.endpoint.limits import (
    CallerRateLimits,
    RateLimit,
    RequestLimits,
    default_concurrency,
    too_many,
)
from inference_server.endpoint.statuses import endpoint_answer
from inference_server.messages import Answer
from inference_server.workers.answers import script_crashed, timed_out, too_late, unavailable


def test_how_many_may_be_in_flight() -> None:
    assert RequestLimits().most_in_flight == 2
    assert RequestLimits().timeout == 5.0
    assert RequestLimits(concurrency=8, instances=3).most_in_flight == 48
    assert default_concurrency(1, 4) == 1
    assert default_concurrency(16, 4) == 64
    answer = too_many(RequestLimits(8, 3))
    assert (answer.status, answer.headers) == (429, b"Retry-After: 1\r\n")
    assert "48 are in flight" in json.loads(answer.body)["message"]


def test_a_bucket_lets_in_its_rate_and_a_second_of_it_at_once() -> None:
    limit = RateLimit(10, now=100.0)
    assert [limit.take(100.0) == 0.0 for _ in range(11)] == [True] * 10 + [False]
    assert limit.take(100.0) == pytest.approx(0.1)
    assert limit.take(100.05) == pytest.approx(0.05)
    assert limit.take(100.101) == 0.0
    answer = limit.refuse(100.101)
    assert answer is not None
    assert (answer.status, answer.headers) == (429, b"Retry-After: 1\r\n")
    assert b"10 a second are allowed" in answer.body
    assert limit.refuse(200.0) is None


def test_a_slow_rate_says_when_to_come_back() -> None:
    limit = RateLimit(0.1, now=0.0)
    assert limit.take(0.0) == 0.0
    answer = limit.refuse(1.0)
    assert answer is not None
    assert answer.headers == b"Retry-After: 9\r\n"


@given(st.floats(0.5, 200), st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_no_second_sees_more_than_two_of_the_rate(rate: float, gaps: list[float]) -> None:
    limit = RateLimit(rate, 0.0)
    now, taken = 0.0, []
    for gap in gaps:
        now += gap
        if not limit.take(now):
            taken.append(now)
    assert len(taken) <= max(1.0, rate) + rate * now + 1e-6
    for start in taken:
        assert sum(start <= at < start + 1 for at in taken) <= max(1.0, rate) + rate + 1e-6


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    limit = RateLimit(1, now=10.0)
    assert limit.take(10.0) == 0.0
    assert limit.take(5.0) == 1.0
    assert limit.take(10.5) == pytest.approx(0.5)


def test_each_caller_has_a_limit_of_its_own_and_they_are_bounded() -> None:
    limits = CallerRateLimits(1, most_callers=3)
    assert limits.refuse("a", 0.0) is None
    assert limits.refuse("a", 0.0) is not None
    assert limits.refuse("b", 0.0) is None
    for caller in "cd":
        assert limits.refuse(caller, 0.0) is None
    assert len(limits) == 3
    assert limits.refuse("b", 0.0) is not None  # heard after a, which made place
    assert limits.refuse("a", 0.0) is None


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Answer(422, b"{}", exec_ms=1.0), 422, b"Unprocessable"),
        (Answer(201, b"{}", exec_ms=1.0), 201, b"Created"),
        (Answer(429, b"{}", exec_ms=1.0), 429, b"Too Many Requests"),
        (Answer(408, b"{}", exec_ms=1.0), 408, b"Request Timeout"),
        (Answer(799, b"{}", exec_ms=1.0), 799, b"unknown"),
        (Answer(400, b"{}"), 400, b"Bad Request"),  # the body was none for run()
        (script_crashed(), 500, b"Internal Server Error"),
        (timed_out(100), 500, b"Internal Server Error"),
    ],
)
def test_what_the_model_answers_is_424(answer: Answer, status: int, reason: bytes) -> None:
    answer.headers = b"x-own: 1\r\n"
    mapped = endpoint_answer(answer)
    assert mapped.status == 424
    assert (mapped.body, mapped.failed, mapped.exec_ms) == (answer.body, answer.failed, answer.exec_ms)
    lines = mapped.headers.split(b"\r\n")
    assert lines[:2] == [b"x-own: 1", b"ms-azureml-model-error-statuscode: %d" % status]
    assert lines[2].startswith(b"ms-azureml-model-error-reason: " + reason)
    assert lines[3:] == [b""]


@pytest.mark.parametrize(
    "answer", [Answer(200, b"1"), too_late(), unavailable("x"), too_many(RequestLimits())]
)
def test_the_front_speaks_for_itself(answer: Answer) -> None:
    assert endpoint_answer(answer) is answer
