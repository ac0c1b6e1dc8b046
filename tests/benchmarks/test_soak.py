"""The soak finds what it is there to find, and `make bench` measures."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.soak import Soak, _judge
from tests.tools import ROOT, require_tool

FLAT = [50.0] * 10


def soak(requests: int = 4) -> Soak:
    made = Soak(0, requests, 0.0, time.monotonic() + 60, random.Random(0), whole=bytearray(requests))
    while made.take():
        pass
    return made


def right(number: int) -> bytes:
    return json.dumps({"number": number, "twice": 2 * number}).encode()


def test_right_answers_are_no_faults() -> None:
    judged = soak()
    for number in range(3):
        judged.answered(number, "", 200, right(number))
    judged.answered(3, "kill", 500, b"")
    assert _judge(judged, bytes([1, 1, 1, 1]), FLAT) == []


@pytest.mark.parametrize(
    ("number", "what", "status", "body", "fault"),
    [
        (1, "", 200, right(2), "answer of another"),
        (1, "", 500, b"", "innocent"),
        (1, "sleep", 200, right(1), "got 200"),
    ],
)
def test_a_wrong_answer_is_a_fault(number: int, what: str, status: int, body: bytes, fault: str) -> None:
    judged = soak()
    judged.answered(number, what, status, body)
    (line,) = _judge(judged, bytes([1, 1, 1, 1]), FLAT)
    assert fault in line


def test_double_and_missing_runs_and_growth_are_faults() -> None:
    judged = soak()
    for number in range(4):
        judged.answered(number, "", 200, right(number))
    assert "more than once" in _judge(judged, bytes([1, 2, 1, 1]), FLAT)[0]
    assert "without having run" in _judge(judged, bytes([1, 0, 1, 1]), FLAT)[0]
    assert "memory grew" in _judge(judged, bytes([1, 1, 1, 1]), [50.0 + 5 * step for step in range(10)])[0]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_short_soak_holds() -> None:
    assert "every answer was right" in run("benchmarks.soak", "--requests", "3000", "--mishaps", "0.02")


@pytest.mark.system
def test_bench_measures_ours(tmp_path: Path) -> None:
    require_tool("wrk")
    out = tmp_path / "figures.json"
    text = run("benchmarks", "--quick", "--servers", "ours", "--workloads", "tiny,stream", "--out", str(out))
    assert "| azmlinfsrv (this project) |" in text
    cells = json.loads(out.read_text())["cells"]
    assert [cell["errors"] for cell in cells] == [0, 0]
