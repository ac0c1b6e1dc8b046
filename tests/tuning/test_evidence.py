"""The sentences and the table."""

from __future__ import annotations

from inference_server.load.figures import megabytes, milliseconds, rate, times
from inference_server.tuning.choose import best_of_each
from inference_server.tuning.evidence import evidence, nothing_fits
from inference_server.tuning.facts import Budget, Point
from inference_server.tuning.report import line, table
from tests.tuning.model import MIB, point

BASE = point(1, rate=100, p99=12, callers=2)
CHOSEN = point(16, rate=310, p99=12, callers=32)


def said(*more: Point, chosen: Point = CHOSEN, budget: Budget | None = None) -> str:
    budget = budget or Budget(latency_ms=50)
    return evidence(chosen, best_of_each([BASE, chosen, *more], budget), budget)


def test_the_gain_over_the_plain_server_and_what_more_would_bring() -> None:
    larger = point(32, rate=316, p99=16.8)
    wider = point(16, 2, rate=250, p99=12, memory=180 * MIB)
    assert said(larger, wider) == (
        "batch 16 with 1 worker: 3.1 × the rate of batch 1 with 1 worker at p99 12 ms with 32 callers; "
        "batch 32 with 1 worker gives 2 % more for 40 % more latency; "
        "batch 16 with 2 workers gives 19 % less at the same latency and 80 MiB more memory."
    )


def test_what_is_over_a_budget_is_said_to_be() -> None:
    assert said(point(32, p99=81)).endswith("batch 32 with 1 worker has p99 81 ms, more than allowed.")
    heavy = said(point(32, memory=2048 * MIB), budget=Budget(memory=1024 * MIB))
    assert heavy.endswith("batch 32 with 1 worker needs 2.0 GiB, more than allowed.")


def test_the_plain_server_speaks_for_itself() -> None:
    assert said(chosen=BASE) == "batch 1 with 1 worker: 100 requests a second at p99 12 ms with 2 callers."
    assert said(point(2, rate=100, p99=12), chosen=BASE).endswith("gives as much at the same latency.")


def test_when_nothing_fits_the_closest_is_named() -> None:
    best = best_of_each([BASE, point(2, p99=9)], Budget(latency_ms=5))
    assert nothing_fits(best, Budget(latency_ms=5)) == (
        "No configuration keeps to 5 ms. The closest is batch 2 with 1 worker: p99 9 ms with 1 caller."
    )
    best = best_of_each([BASE], Budget(memory=MIB))
    assert nothing_fits(best, Budget(memory=MIB)) == (
        "No configuration keeps to 1 MiB of memory. The smallest is batch 1 with 1 worker: 100 MiB."
    )


def test_numbers_are_short() -> None:
    assert [rate(value) for value in (0.123456, 12.345, 1234.5)] == ["0.123", "12.3", "1,234"]
    assert [milliseconds(value) for value in (0.6471, 12.345, 1234.5)] == ["0.647 ms", "12.3 ms", "1,234 ms"]
    assert [megabytes(value * MIB) for value in (12, 2048)] == ["12 MiB", "2.0 GiB"]
    assert [times(value) for value in (3.14, 14.2)] == ["3.1", "14"]


def test_a_line_for_each_measurement() -> None:
    assert line(point(8, 2, 8120, 3.14, callers=16, rows=7.62)) == (
        "batch   8  2 workers   16 callers    8,120 req/s  p50  1.57 ms  p99  3.14 ms   100 MiB  7.6 rows a call"
    )
    assert "MiB" not in line(point(memory=0))


def test_the_table_marks_the_choice_and_what_is_over_a_budget() -> None:
    slow = point(32, rate=600, p99=80)
    budget = Budget(latency_ms=50, memory=500 * MIB)
    heavy = point(16, 4, rate=400, memory=800 * MIB)
    text = table(
        best_of_each([slow, BASE, CHOSEN, heavy], budget), CHOSEN, budget, "recommended"
    ).splitlines()
    assert text[0].split() == [
        "batch",
        "workers",
        "callers",
        "req/s",
        "p50",
        "p99",
        "memory",
        "rows",
        "a",
        "call",
    ]
    assert [row.split()[:2] for row in text[2:]] == [["1", "1"], ["16", "1"], ["32", "1"], ["16", "4"]]
    assert [row.split()[-2:] for row in text[3:]] == [["◄", "recommended"], ["too", "slow"], ["too", "large"]]
    assert text[4].count("█") == 24
    assert text[2].count("█") == 4
