"""What the scenarios make of what happened."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.__main__ import updated
from benchmarks.load.arrivals import Call
from benchmarks.scenarios import SCENARIOS, overload, poison, reload
from benchmarks.scenarios.stage import Ran
from benchmarks.tables import goals_table


def call(status: int | None, latency: float = 0.0, kind: str = "good") -> Call:
    return Call(b"", kind=kind, status=status, begun=1.0, done=1.0 + latency)


def test_poison_counts_who_pays_and_compares_with_the_best_plan() -> None:
    calls = [*[call(200)] * 198, call(500), call(None), call(500, kind="poison")]
    ran = [*[Ran(0, 32, 0.026, False)] * 6, Ran(0, 8, 0.014, False), Ran(0, 32, 0.026, True)]
    row = poison.judge(calls, ran)
    assert (row["good"], row["good_failed"], row["poison"], row["poison_200"]) == (199, 1, 1, 0)
    assert row["cost_ms"] == pytest.approx(1000 * (7 * 0.026 + 0.014) / 198)
    assert row["clean_ms"] == pytest.approx(26 / 32)
    assert row["clean_ms"] < row["best_ms"] < 2.1 * row["clean_ms"]


def test_call_times_are_a_line() -> None:
    seconds = poison.fitted([Ran(0, rows, 0.01 + 0.001 * rows, False) for rows in (1, 1, 16, 32)])
    assert seconds is not None
    assert seconds(8) == pytest.approx(0.018)
    assert poison.fitted([]) is None


def test_overload_counts_what_is_in_time() -> None:
    late = overload.DEADLINE_MS / 1000 + 0.01
    row = overload.judge([call(200, 0.1), call(200, late), call(429, 0.01), call(None)], 2.0)
    assert row["goodput"] == 0.5
    assert row["offered"] == 2
    assert row["statuses"] == {"200": 2, "429": 1, "none": 1}


def test_a_request_that_meets_a_swap_belongs_to_it() -> None:
    calls = [
        Call(b"", status=status, begun=begun, done=begun + took)
        for begun, took, status in (
            (0.5, 0.001, 200),
            (0.95, 0.1, 200),
            (1.2, 0.002, 200),
            (1.3, 0.003, 503),
            (2.0, 0.001, 200),
        )
    ]
    row = reload.judge(calls, [(1.0, 1.5)])
    assert (row["during_calls"], row["steady_calls"], row["bad"]) == (2, 2, 1)
    assert row["during_p99_ms"] == pytest.approx(100)
    assert row["steady_p99_ms"] == pytest.approx(1)
    shares = {goal.what: goal.value for goal in reload.goals({"rows": [row]})}
    assert shares["requests that fail in 1 swaps under load"] == 1
    assert shares["p99 during a swap, to the steady one"] == pytest.approx(100)


def test_what_was_not_measured_is_no_goal_missed() -> None:
    empty: dict[str, dict[str, Any]] = {
        "openloop": {"rows": [], "lone": {}},
        "poison": {"rows": []},
        "leavers": {"rows": []},
        "overload": {"rows": [], "deadline_ms": 250},
        "reload": {"rows": [], "rate": 1000},
        "attach": {"rows": []},
        "gpu": {"skipped": "no CUDA device"},
    }
    for name, record in empty.items():
        assert "**no**" not in goals_table(SCENARIOS[name].goals(record))
        assert SCENARIOS[name].report(record)


def record(server: str, rate: float, **more: Any) -> dict[str, Any]:
    machine = {"when": "now", "cores": 2, "cpu": "a", "system": "b", "python": "3.12"}
    return {
        "machine": {**machine, **more},
        "plan": {"servers": [server], "workloads": ["tiny"], "rounds": 1},
        "cells": [{"server": server, "workload": "tiny", "round": 1, "rate": rate}],
        "versions": {server: "1"},
        "commands": {},
        "limits": {},
        "health": [],
        "scenarios": {"poison": rate},
        "took_s": {},
    }


def test_an_update_keeps_what_was_not_measured_again() -> None:
    old = record("mosec", 1.0)
    both = updated(updated(old, record("ours", 2.0)), record("mosec", 3.0))
    assert {cell["server"]: cell["rate"] for cell in both["cells"]} == {"ours": 2.0, "mosec": 3.0}
    assert both["plan"]["servers"] == ["ours", "mosec"]
    assert both["scenarios"] == {"poison": 3.0}


def test_an_update_of_another_machine_is_refused() -> None:
    with pytest.raises(SystemExit, match="another cpu"):
        updated(record("ours", 1.0), record("ours", 1.0, cpu="c"))
