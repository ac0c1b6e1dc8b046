"""Waits are spent while they find company, and again once they would."""

from __future__ import annotations

from inference_server.batching.company import MISSES, Company


def test_waits_that_find_nobody_end_and_come_back_when_they_would_pay() -> None:
    company = Company()
    for count in (1, 5, 1, 2):
        company.waited(count)
    assert company.likely
    for _ in range(MISSES):
        assert company.likely
        company.waited(1)
    assert not company.likely
    company.arrived(0.5, 0.002)  # nobody left alone just before
    company.left_alone(1.0)
    company.arrived(1.01, 0.002)
    assert not company.likely
    company.left_alone(2.0)
    company.arrived(2.001, 0.002)
    assert company.likely
