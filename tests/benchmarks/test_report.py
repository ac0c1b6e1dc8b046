"""The tables say what was measured, and nothing that was not."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import report


def result() -> dict[str, Any]:
    def cells(server: str, *rates: float) -> list[dict[str, Any]]:
        return [
            {
                "server": server,
                "workload": "tiny",
                "round": turn,
                "rate": rate,
                "lone_p50_ms": 0.25,
                "start_s": 0.5,
            }
            for turn, rate in enumerate(rates, 1)
        ]

    return {
        "machine": {"when": "today", "cores": 2, "cpu": "a", "system": "b", "python": "3.12"},
        "plan": {
            "servers": ["ours", "azureml", "bare"],
            "workloads": ["tiny"],
            "rounds": 3,
            "seconds": 5,
            "rates": [],
        },
        "versions": {"ours": "azmlinfsrv 1"},
        "commands": {"ours": "azmlinfsrv --port PORT"},
        "cells": [
            *cells("ours", 30_000, 10, 26_000),
            *cells("azureml", 1_000, 1_000, 900),
            {"server": "bare", "workload": "tiny", "round": 1, "failed": "it did not come up"},
        ],
        "limits": {"tiny": {"one": 90_000.0, "batch": 150_000.0, "batch_size": 16}},
        "health": [],
    }


def test_figures_are_medians_and_ratios() -> None:
    text = report.performance_table(result())
    assert "| **azmlinfsrv (this project)** | 26 × | 26,000 | 0.25 ms | – | 0.5 s |" in text


def test_what_batching_brings_is_a_table_of_its_own() -> None:
    measured = result()
    assert report.batching_table(measured) == ""
    measured["cells"] += [
        {"server": server, "workload": "mlp", "round": 1, "rate": rate}
        for server, rate in (("ours-batching", 13_000.0), ("azureml", 1_000.0))
    ]
    measured["scenarios"] = {"poison": {"rows": [{"server": "ours-batching", "good": 200, "good_failed": 1}]}}
    text = report.batching_table(measured)
    assert "| **azmlinfsrv, batching** | 13 × | 13,000 | – | – | 0.5% | – | – |" in text
    assert text in report.performance_table(measured)


def test_a_goal_is_met_missed_or_not_measured() -> None:
    table = report.goals_table(report.goals(result()))
    assert "| ≥ 25 × | 26 × | yes |" in table
    assert "| ≥ 1.3 × | – | – |" in table


def test_a_server_that_failed_is_named() -> None:
    text = report.everything(result())
    assert "bare, tiny, round 1: it did not come up" in text
    assert "azmlinfsrv --port PORT" in text


def test_the_table_goes_between_the_markers() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.into_readme(page, "new") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    with pytest.raises(SystemExit, match="markers"):
        report.into_readme("a page without them", "new")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.1234, "0.123"),
        (123.4, "123"),
        (41_735.2, "41,700"),
        (1_187.0, "1,190"),
    ],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert report.number(value) == text
