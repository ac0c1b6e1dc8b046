"""`azmlinfsrv test`: answers, failures with their place, exit codes."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inference_server.cli import main
from tests.scoring.driving import other_python
from tests.tools import missing
from tests.trial.conftest import Run

SCRIPT = """
    import json, os, time

    def init():
        print("loading")

    def run(data):
        what = json.loads(data)
        if what == "exit":
            os._exit(7)
        if what == "sleep":
            time.sleep(60)
        if what == "stream":
            return (str(number) for number in range(3))
        if what == "bytes":
            return b"\\xff\\x00"
        if what == "print":
            print("from run")
        if what == "set":
            return {1, 2}
        return {"half": divide(what, 2)}

    def divide(one, other):
        return one / other
"""


def test_answers_are_shown_with_their_time(run: Run) -> None:
    ran = run(SCRIPT, "-r", "a.json", "b.json", files={"a.json": "4", "b.json": '"stream"'})
    assert ran.code == 0
    assert re.match(
        r"score\.py  loaded in .* on Python 3\.\d+\.\d+\n  run\(data\) takes the body as text\n", ran.out
    )
    assert re.search(r'^ok  a\.json  200  [\d.]+ ms.*\n  \{"half": 2\.0\}$', ran.out, re.MULTILINE)
    assert re.search(
        r"^ok  b\.json  200 .*\n  Content-Type: text/plain; charset=utf-8\n  012$", ran.out, re.MULTILINE
    )
    assert "2 requests, all answered; run() took" in ran.out
    assert "\x1b" not in ran.out
    assert "loading" in ran.err  # what the script prints is not in the report


def test_a_failure_shows_the_place_in_the_users_file(run: Run) -> None:
    ran = run(
        SCRIPT,
        "-r",
        "requests",
        files={"requests/1.json": '"x"', "requests/2.json": "8", "requests/.hidden": ""},
    )
    assert ran.code == 1
    text = """
FAILED  requests/1.json  500  T ms
  TypeError: unsupported operand type(s) for /: 'str' and 'int'
  score.py:24 in divide()
      return one / other
  Traceback (most recent call last):
"""
    assert text in re.sub(r"[\d.]+ ms", "T ms", ran.out)
    assert 'callers receive {"message": "An unexpected error occurred in scoring script.' in ran.out
    assert "ok  requests/2.json  200" in ran.out
    assert "2 requests, 1 failed" in ran.out


def test_a_crash_costs_one_request(run: Run) -> None:
    files = {"r/1.json": '"exit"', "r/2.json": "2"}
    ran = run(SCRIPT, "-r", "r", files=files)
    assert ran.code == 1
    assert "FAILED  r/1.json  no answer\n  the process ended with exit code 7" in ran.out
    assert "ok  r/2.json  200" in ran.out
    assert ran.err.count("loading") == 2


def test_run_is_held_to_the_scoring_timeout(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORING_TIMEOUT_MS", "50")
    ran = run(SCRIPT, "-r", "a.json", files={"a.json": '"sleep"'})
    assert ran.code == 1
    assert "FAILED  a.json  500" in ran.out
    assert "run() took longer than 50 ms" in ran.out
    assert "score.py:12 in run()" in ran.out


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "def init(): pass\ndef run(data) return 1",
            "SyntaxError: expected ':'\n  score.py:2\n      def run(data) return 1",
        ),
        (
            "import nothing_like_it",
            "ModuleNotFoundError: No module named 'nothing_like_it'\n  score.py:1\n      import nothing_like_it",
        ),
        (
            "def init():\n    raise OSError('no model')\ndef run(data): pass",
            "OSError: no model\n  score.py:2 in init()",
        ),
        ("def init(): pass", "does not have a run() function defined."),
        ("import os\nos._exit(9)", "the process ended with exit code 9"),
    ],
)
def test_a_script_that_does_not_load_ends_with_3(run: Run, script: str, said: str) -> None:
    ran = run(script, "-r", "a.json", files={"a.json": "1"})
    assert ran.code == 3
    assert ran.out.startswith("score.py  cannot be loaded\n")
    assert said in ran.out


def test_a_script_that_is_not_there_is_said_in_a_sentence(run: Run, tmp_path: Path) -> None:
    for words, name, said in (
        (["--entry_script", "nope.py"], "nope.py", f"The entry script {tmp_path}/nope.py does not exist."),
        (["--entry_script", "."], ".", f"The entry script {tmp_path} is a directory."),
        ([], "main.py", f"No score script found: there is no main.py in {tmp_path}."),
    ):
        ran = run(None, *words)
        assert ran.code == 3
        assert ran.out.startswith(f"{name}  cannot be loaded\n  {said} ")
        assert ran.out.endswith("with --entry_script.\n")
        assert "Error" not in ran.out


def test_without_a_request_the_scripts_own_sample_is_sent(run: Run) -> None:
    script = """
        from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
        from inference_schema.schema_decorators import input_schema
        def init(): pass
        @input_schema("a", StandardPythonParameterType(20))
        @input_schema("b", StandardPythonParameterType([1, 2]))
        def run(a, b): return [a, b]
    """
    ran = run(script)
    assert ran.code == 0
    assert "ok  sample of @input_schema  200" in ran.out
    assert "[20, [1, 2]]" in ran.out
    assert "No request was sent: name one with -r request.json" in run(SCRIPT).out


def test_types_headers_and_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "def init(): pass\ndef run(data, request_headers): return [data, request_headers.get('Content-Type'), request_headers['X-A']]"
    ran = run(script, "-r", "a.csv", "-H", "x-a: 1: 2", "--json", files={"a.csv": "1,2"})
    report = json.loads(ran.out)
    assert report["requests"][0]["body"] == ["1,2", "text/csv", "1: 2"]
    assert report["requests"][0]["ok"] is True
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hello")))
    assert (
        json.loads(run(script, "-r", "-", "-H", "X-A: b", "--json").out)["requests"][0]["body"][0] == "hello"
    )


def test_the_json_report_has_everything(run: Run) -> None:
    files = {"r/1.json": "1", "r/2.json": '"set"', "r/3.json": '"bytes"', "r/4.json": "null"}
    ran = run(SCRIPT, "-r", "r", "--json", files=files)
    report = json.loads(ran.out)
    assert ran.code == 1
    one, two, three, four = report["requests"]
    assert (one["status"], one["body"], one["failure"]) == (200, {"half": 0.5}, None)
    assert (two["status"], two["ok"]) == (500, False)
    assert two["failure"]["error"].startswith("run() returned a set that cannot be turned into an answer")
    assert three["base64"] == "/wA="
    assert four["failure"]["place"]["source"] == "return one / other"
    assert json.loads(run("1 +", "--json").out)["failure"]["place"]["line"] == 1


def test_long_answers_are_cut_unless_asked_for(run: Run) -> None:
    script = "def init(): pass\ndef run(data): return {str(n): [n] * 40 for n in range(50)}"
    files = {"a.json": ""}
    short = run(script, "-r", "a.json", files=files).out
    assert "more lines (--full shows them)" in short
    assert len(short.splitlines()) < 40
    whole = run(script, "-r", "a.json", "--full").out
    assert json.loads(whole[whole.index("  {") : whole.rindex("}") + 1]) == {
        str(n): [n] * 40 for n in range(50)
    }


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_the_models_own_interpreter_is_used(run: Run, version: str) -> None:
    python = other_python(version)
    if python is None:
        missing(f"needs a Python {version}")
    ran = run(SCRIPT, "-r", "a.json", "--python", str(python), files={"a.json": '"x"'})
    assert f"on Python {version}." in ran.out
    assert "score.py:24 in divide()" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-r", "none.json"], "the request file none.json does not exist"),
        (["--python", "/no/such"], "argument --python: expects a Python interpreter"),
        (["--entry-script"], "argument --entry_script: expected one argument; see azmlinfsrv test --help"),
        (["-H", "nonsense", "-r", "score.py"], "a header is written 'Name: value', not 'nonsense'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_use_is_one_sentence_and_2(run: Run, words: list[str], said: str) -> None:
    ran = run(SCRIPT, *words)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("azmlinfsrv test: error: ")
    assert said in line


def test_help_has_examples_and_the_settings_as_they_are_declared(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--help"]) == 0
    out = capfd.readouterr().out
    assert "examples:\n  azmlinfsrv test -r request.json " in out
    assert "The scoring script. A relative path is taken from the app root." in re.sub(r"\s+", " ", out)


def test_colours_are_for_terminals_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32;1mok\x1b[0m" in run(SCRIPT, "-r", "a.json", files={"a.json": "1"}).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(None, "-r", "a.json").out


def test_what_an_answer_holds_cannot_move_the_cursor(run: Run) -> None:
    script = "def init(): pass\ndef run(data): return (text for text in ['\\x1b[2J'])"
    assert "\\x1b[2J" in run(script, "-r", "a.json", files={"a.json": ""}).out


def test_ctrl_c_ends_the_script_too(run: Run) -> None:
    """As from a terminal: the signal goes to the whole group."""
    code = "import os, signal, time\ndef init(): pass\ndef run(data):\n    os.killpg(0, signal.SIGINT)\n    time.sleep(60)"
    run(code, files={"a.json": "1"})
    command = [sys.executable, "-m", "inference_server", "test", "-r", "a.json"]
    ended = subprocess.run(command, start_new_session=True, capture_output=True, timeout=30)
    assert ended.returncode == 130
