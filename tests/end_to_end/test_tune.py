"""`azmlinfsrv tune` and `azmlinfsrv replay` as commands, on scripts that batch well, badly, and not at all."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import alive, clean_environment, command, wait_for

Begin = Callable[..., subprocess.Popen[str]]

# A call costs the same for one row and for many, as long as the processor has time for others.
PATIENT = """
    import json, time
    def init():
        pass
    def run(data):
        rows = json.loads(data)["data"]
        time.sleep(0.004)
        return [sum(row) for row in rows]
"""
COUPLED = """
    import json
    def init():
        pass
    def run(data):
        rows = json.loads(data)["data"]
        return [sum(row) / len(rows) for row in rows]
"""


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """`begin(script, *words)`: the command, with 40 requests, in a folder of its own."""

    def start(script: str, *words: str) -> subprocess.Popen[str]:
        (tmp_path / "score.py").write_text(textwrap.dedent(script))
        lines = [json.dumps({"data": [[number, 1]]}) for number in range(40)]
        (tmp_path / "many.jsonl").write_text("\n".join(lines))
        return subprocess.Popen(
            command("tune", "--entry_script", "score.py", "-r", "many.jsonl", *words),
            cwd=tmp_path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    """What it said on standard output and standard error, once it ended with `code`."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    return out, err


def test_what_it_recommends_is_served(begin: Begin, tmp_path: Path, serve: Serve) -> None:
    words = ["--seconds", "0.25", "--max_batch_size", "4", "--max_workers", "1", "--latency_ms", "500"]
    out, err = ended(begin(PATIENT, *words, "--output", "best.json"), 0)
    assert err == ""
    assert "with 40 requests" in out
    assert re.search(r"^batch   4  1 worker .* req/s  p50 .* MiB  [1-4]\.\d rows a call$", out, re.MULTILINE)
    assert re.search(r"^    4        1  .*◄ recommended$", out, re.MULTILINE)
    assert re.search(
        r"^batch 4 with 1 worker: \d+(\.\d)? × the rate of batch 1 with 1 worker at p99", out, re.MULTILINE
    )
    assert "    azmlinfsrv --entry_script score.py --config_file best.json" in out
    best = tmp_path / "best.json"
    assert json.loads(best.read_text()) == {"WORKER_COUNT": 1, "AZMLINFSRV_MAX_BATCH_SIZE": 4}
    server = serve(PATIENT, "--config_file", str(best))
    assert server.score({"data": [[1, 2]]}).json() == [3]
    assert server.get("/readyz").json()["batching"]["max_rows"] == 4


def test_refused_rows_are_said_and_can_be_replayed(begin: Begin, tmp_path: Path) -> None:
    words = ["--seconds", "0.15", "--max_workers", "1", "--proof_dir", "kept"]
    out, _ = ended(begin(COUPLED, *words), 0)
    assert "Joining rows was refused: " in out
    assert "Only the number of workers is tuned." in out
    assert json.loads((tmp_path / "settings.json").read_text())["AZMLINFSRV_MAX_BATCH_SIZE"] == 1
    found = re.search(r"^To see it again: azmlinfsrv (replay .*)$", out, re.MULTILINE)
    assert found
    replay = subprocess.run(
        command(*found[1].split()), cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
    )
    assert replay.returncode == 1, replay.stderr
    assert "They differ: " in replay.stdout


def test_an_answer_that_is_no_200_ends_it(begin: Begin, tmp_path: Path) -> None:
    _, err = ended(begin("def init(): pass\ndef run(data): raise ValueError('no')"), 2)
    assert "many.jsonl, line 1 was answered with 500 (batch 1, 1 worker): " in err
    assert "An unexpected error occurred in scoring script" in err
    assert "ValueError: no (" in err
    assert not (tmp_path / "settings.json").exists()
    _, err = ended(begin("def init(): raise KeyError('model')\ndef run(data): return 1"), 3)
    assert "the server ended with exit code 3" in err
    assert "KeyError: 'model'" in err


def test_workers_that_find_no_room_are_left_out(begin: Begin, tmp_path: Path) -> None:
    script = """
        import os
        def init():
            if os.environ["WORKER_COUNT"] != "1":
                raise MemoryError("no room for two")
        def run(data):
            return 1
    """
    words = ["--seconds", "0.15", "--max_batch_size", "1", "--max_workers", "2"]
    out, err = ended(begin(script, *words), 0)
    assert "batch 1, 2 workers: the server ended with exit code 3; it is left out" in out
    assert "MemoryError: no room for two" in err
    assert json.loads((tmp_path / "settings.json").read_text())["WORKER_COUNT"] == 1


def test_nothing_within_the_limits_is_an_exit_code_of_its_own(begin: Begin, tmp_path: Path) -> None:
    words = ["--seconds", "0.15", "--max_batch_size", "1", "--latency_ms", "0.5"]
    out, _ = ended(begin(PATIENT, *words), 4)
    assert "No configuration keeps to 0.5 ms. The closest is batch 1 with 1 worker: p99 " in out
    assert not (tmp_path / "settings.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_shows_what_it_has_and_leaves_nothing_running(begin: Begin, number: int) -> None:
    process = begin(PATIENT, "--seconds", "0.3")
    assert process.stdout is not None
    head = ""
    while "req/s" not in head:
        line = process.stdout.readline()
        assert line, "it ended"
        head = line
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    process.send_signal(number)
    out, _ = ended(process, 130)
    assert "Interrupted. So far:" in out
    assert "◄ best so far" in out
    wait_for(lambda: not any(alive(int(child)) for child in children), why="the server has ended")
