from __future__ import annotations

from inference_server.scoring.batching.company import FAILURES, MOST, Company


def test_where_nothing_goes_well_nothing_is_to_be_merged() -> None:
    company = Company()
    assert [company.fails("kind") for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]


def test_a_kind_that_never_does_well_is_kept_apart() -> None:
    company = Company()
    company.does_well("good")
    assert not any(company.fails("kind") for _ in range(FAILURES))
    assert company.bad == {"kind"}


def test_one_failure_among_many_calls_is_chance() -> None:
    company = Company()
    for _ in range(10 * FAILURES):
        company.fails("kind")
        company.does_well("kind")
    assert not company.bad


def test_too_many_kinds_that_fail_end_merging() -> None:
    company = Company()
    company.does_well("good")
    assert [company.fails(number) for number in range(MOST + 1) for _ in range(FAILURES)][-1]
