"""`azmlinfsrv replay` of recorded requests: what is said of each, and the exit codes."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_server import fields
from inference_server.cli import main
from inference_server.recording.making import Maker
from inference_server.recording.redaction import Redaction
from tests.recording.making import taken

SCRIPT = """
    import json, os
    def init():
        pass
    def run(data):
        value = json.loads(data)
        if value == "die":
            os._exit(9)
        if value == "hang":
            while True:
                pass
        return {"double": value["x"] * FACTOR, "when": os.getpid()}
    FACTOR = 2
"""
Keep = Callable[..., None]


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """`keep(body, status, answer, …)` records one request to score.py, in the folder `kept` of the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "score.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "kept").mkdir()
    numbers = iter(range(100))

    def keep(body: Any, status: int = 200, answer: Any = None, redact: str = "", **more: Any) -> None:
        maker = Maker(Redaction(fields.parse(redact)), 1000, str(tmp_path / "score.py"), "")
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        one = taken(sent, status, json.dumps(answer).encode(), when=1e9 + next(numbers), **more)
        name, data = maker.made(one)
        (tmp_path / "kept" / name).write_bytes(data)

    return keep


def outcomes(*words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    main(["replay", "kept", "--json", *words])
    return [one["outcome"] for one in json.loads(capsys.readouterr().out)["requests"]]


def test_each_outcome_has_a_word(keep: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    place = {"file": "f", "line": 1, "function": "run", "source": ""}
    keep({"x": 1}, 500)
    keep("die", 500)
    keep({"y": 1}, 500, failure={"error": "KeyError: 'other'", "place": place})
    keep({"y": 1}, 500, failure={"error": "ValueError: no", "place": place})
    keep({"x": 1}, 200, {"double": 2, "when": 1})
    keep({"x": 1}, 200, {"double": 3, "when": 1})
    keep({"y": 1}, 200, {})
    keep(b"x" * 2000, 500)
    words = ["now works", "fails again", "fails again", "fails differently", "not sent"]
    words += ["same", "differs", "now fails"]
    assert outcomes("--ignore", "when", capsys=capsys) == words
    assert main(["replay", "kept", "--ignore", "when"]) == 1
    out = capsys.readouterr().out
    assert ["$.double", "3", "2"] in [line.split() for line in out.splitlines()]
    assert "score.py:12 in run()" in out
    assert out.endswith(
        "8 requests: 1 now fails, 1 fails differently, 1 differs, 1 now works, 2 fail again, 1 same, 1 not sent\n"
    )


def test_exit_codes(keep: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep({"x": 1}, 500)
    keep({"x": 1}, 200, {"double": 2, "when": 1})
    assert main(["replay", "kept", "--only", "good", "--ignore", "when"]) == 0
    assert main(["replay", "kept", "--only", "failed"]) == 1
    assert main(["replay", "kept", "--must_work"]) == 0
    (tmp_path / "new.py").write_text(textwrap.dedent(SCRIPT).replace("= 2", "= 2.00001"))
    compare = ["replay", "kept", "--only", "good", "--ignore", "$.when", "--diff", "new.py"]
    assert main(compare) == 0
    assert main([*compare, "--rtol", "1e-9"]) == 1
    assert main([*compare, "--rtol", "0", "--atol", "0.1"]) == 0
    capsys.readouterr()


def test_a_run_that_never_returns_costs_its_time(keep: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    keep("hang", 500)
    keep({"x": 1}, 200, {"double": 2, "when": 1})
    assert outcomes("--timeout", "0.2", "--ignore", "when", capsys=capsys) == ["fails again", "same"]


def test_redacted_fields_differ_for_nobody(keep: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    """A field that is redacted in the answer is the same; one that was in the request is said."""
    keep({"x": 1}, 200, {"double": 2, "when": 1}, redact="double,when")
    assert outcomes(capsys=capsys) == ["same"]
    keep({"x": 1, "ssn": "123-45"}, 200, {"double": 3, "when": 1}, redact="ssn")
    main(["replay", "kept", "--ignore", "when"])
    assert "fields of its body were redacted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "http://127.0.0.1:1"], "no server answers at http://127.0.0.1:1"),
        (["--url", "http://192.0.2.1"], "192.0.2.1 is another machine: say --yes"),
        (["--url", "http://127.0.0.1:1", "--break"], "leave out --url"),
        (["--diff", "score.py", "--break"], "leave out --diff"),
        (["--diff", "none.py"], "there is no script at none.py"),
        (["--entry_script", "none.py"], "there is no script at"),
        (["--only", "good"], "none of the 1 request(s) in kept is a good one"),
        (["--only", "zzz"], "no request in kept has the id or the file name 'zzz'"),
        (["--ignore", "$."], "expects names and paths"),
        (["--rtol", "x"], "expects a number of 0 or more"),
        (["-H", "x"], "a header is written 'Name: value'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    keep: Keep, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    keep({"x": 1}, 500)
    assert main(["replay", "kept", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_folders_and_scripts_that_are_of_no_use(
    keep: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "kept"]) == 2
    assert "the folder kept holds no recorded requests" in capsys.readouterr().err
    keep(b"x" * 2000, 500)
    assert main(["replay", "kept"]) == 2
    assert "no request could be sent" in capsys.readouterr().err
    (tmp_path / "score.py").write_text("def init(): raise ValueError('no model')\ndef run(data): return 1")
    keep({"x": 1}, 500)
    assert main(["replay", "kept"]) == 2
    assert "ValueError: no model" in capsys.readouterr().err
    (tmp_path / "score.py").unlink()
    assert main(["replay", "kept"]) == 2
    assert "say where it is now with --entry_script" in capsys.readouterr().err


def test_a_damaged_file_is_said_and_the_others_are_sent(
    keep: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep({"x": 1}, 200, {"double": 2})
    (tmp_path / "kept" / "failed-1.json").write_text('{"half":')
    (tmp_path / "kept" / "notes.json").write_text("{}")  # somebody's own
    main(["replay", "kept", "--json"])
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["requests"]) == 1
    said = f"passed over 1 file in kept, no whole request: {os.path.join('kept', 'failed-1.json')}: Expecting value"
    assert captured.err.startswith(said)
    assert captured.err.count("\n") == 1


def test_headers_travel_but_for_those_that_were_redacted(
    keep: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "score.py").write_text(
        "def init(): pass\ndef run(data, request_headers):\n    return dict(request_headers)\n"
    )
    keep({}, 200, {}, headers=((b"authorization", b"Bearer a"), (b"x-a", b"1"), (b"x-b", b"2")))
    main(["replay", "kept", "--json", "-H", "X-B: 3"])
    (one,) = json.loads(capsys.readouterr().out)["requests"]
    now = {difference["path"].lower(): difference["now"] for difference in one["differences"]}
    assert (now['$["x-a"]'], now['$["x-b"]']) == ("1", "3")
    assert "$.authorization" not in now
