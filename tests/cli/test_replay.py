"""`azmlinfsrv replay`: a kept mismatch run again, and what is said about it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.cli import main
from inference_server.scoring.answer import JSON, Answer
from inference_server.scoring.batching import repro
from inference_server.scoring.config import ScoringConfig

Kept = Callable[..., str]
MEAN = """
    import json
    def init():
        pass
    def run(data):
        print("printed")
        rows = json.loads(data)["data"]
        mean = sum(row[0] for row in rows) / len(rows)
        return {"off": [row[0] - mean for row in rows], "model": "m"}
"""
FIXED = MEAN.replace("row[0] - mean", "row[0]")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """`kept(script, *bodies)` -> a mismatch file, as a worker leaves it."""

    def keep(script: str, *bodies: object) -> str:
        path = tmp_path / "score.py"
        path.write_text(textwrap.dedent(script))
        config = ScoringConfig(entry_script=str(path), app_root=str(tmp_path), max_batch_size=8)
        requests = [repro.Sent("POST", b"", b"", json.dumps(body).encode()) for body in bodies]
        alone, merged = Answer(200, JSON, b"[0.0]"), Answer(200, JSON, b"[1.0]")
        mismatch = repro.Mismatch("[0]: 0.0 alone, 1.0 in a batch", requests, 0, alone, merged)
        return repro.save(str(tmp_path / "kept"), str(path), config._asdict(), mismatch)

    return keep


def test_what_differs_is_shown_field_by_field(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    file = kept(MEAN, {"data": [[1], [3]]}, {"data": [[11]]})
    assert main(["replay", file]) == 1
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0].startswith("2 requests to ")
    assert lines[1] == "then:  [0]: 0.0 alone, 1.0 in a batch"
    assert 'request 1 of 2: {"data": [[1], [3]]}' in lines
    assert [line.split() for line in lines if "off[" in line] == [
        ["off[0]", "-1.0", "-4.0"],
        ["off[1]", "1.0", "-2.0"],
        ["off[0]", "0.0", "6.0"],
    ]
    assert "They differ: 2 of 2 requests, in one call of 3 rows." in lines


def test_a_repaired_script_agrees_and_is_known_to_have_changed(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kept(MEAN, {"data": [[1], [3]]}, {"data": [[11]]})
    (tmp_path / "score.py").write_text(textwrap.dedent(FIXED))
    assert main(["replay", file]) == 0
    captured = capsys.readouterr()
    assert "score.py has changed since the file was written" in captured.err
    assert "They agree now: 2 requests, alone and together in one call of 3 rows." in captured.out


def test_a_script_that_disagrees_with_itself(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    count = MEAN.replace("pass", "global n; n = 0").replace("mean =", "global n; n += 1; mean = n *")
    assert main(["replay", kept(count, {"data": [[1]]})]) == 1
    out = capsys.readouterr().out
    assert "off[0]: 0.0 at first, -2.0 when asked again" in out
    assert "does not answer the same request the same way twice" in out


def test_a_call_that_fails_only_together(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    one = MEAN.replace("mean =", "assert len(rows) == 1, 'one at a time'; mean =")
    assert main(["replay", kept(one, {"data": [[1]]}, {"data": [[2]]})]) == 1
    out = capsys.readouterr().out
    assert "Each of 2 requests is answered alone; together run() fails:" in out
    assert "AssertionError: one at a time (" in out


def test_a_request_that_fails_alone_proves_nothing(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    picky = FIXED.replace("mean =", "assert [13] not in rows, 'not that one'; mean =")
    assert main(["replay", kept(picky, {"data": [[1]]}, {"data": [[13]]})]) == 0
    assert "Request 2 of 2 fails alone too: AssertionError: not that one" in capsys.readouterr().out


def test_requests_that_share_no_call_now(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", kept(MEAN, {"data": [[1]]}, {"data": [[1, 2]]})]) == 0
    assert "These requests share no call now: their rows are not of one shape" in capsys.readouterr().out


def test_a_script_that_is_not_batched_any_more(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kept(MEAN, {"data": [[1]]}, {"data": [[2]]})
    (tmp_path / "score.py").write_text(
        textwrap.dedent(MEAN.replace("run(data)", "run(data, request_headers)"))
    )
    assert main(["replay", file]) == 0
    assert "share no call now: run() takes request_headers" in capsys.readouterr().out


def test_another_script_and_interpreter_can_be_named(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kept(MEAN, {"data": [[1], [3]]}, {"data": [[11]]})
    (tmp_path / "score.py").rename(tmp_path / "moved.py")
    assert main(["replay", file]) == 2
    assert "there is no script at" in (said := capsys.readouterr().err)
    assert "--entry_script" in said
    assert main(["replay", file, "--entry_script", str(tmp_path / "moved.py")]) == 1
    assert main(["replay", file, "--python", str(tmp_path / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "file.json"
    file.write_text(content)
    assert main(["replay", str(file)]) == 2
    assert "is neither a recorded request nor a mismatch file: " in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_a_damaged_mismatch_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file.json"
    file.write_text('{"format": "azmlinfsrv mismatch 1"}')
    assert main(["replay", str(file)]) == 2
    assert "is not a mismatch file, or it is damaged" in capsys.readouterr().err


def test_flags_of_recorded_requests_are_refused_for_a_mismatch(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", kept(MEAN, {"data": [[1]]}), "--only", "failed"]) == 2
    assert "--only is for recorded requests" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("def init(): raise ValueError('no model')\ndef run(data): return 1", "ValueError: no model"),
        ("import os\nprint('last words')\nos._exit(7)", "ended with 7\nlast words"),
    ],
)
def test_a_script_that_cannot_be_loaded_says_why(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str], script: str, said: str
) -> None:
    file = kept(MEAN, {"data": [[1]]}, {"data": [[2]]})
    (tmp_path / "score.py").write_text(script)
    assert main(["replay", file]) == 2
    assert said in capsys.readouterr().err
