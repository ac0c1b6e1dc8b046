"""The words of `azmlinfsrv bench`: what they ask for, and what is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.cli import main
from inference_server.cli.bench_plan import read_words
from inference_server.load.generator import Closed, Open


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a request."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.json").write_text("[1]")
    return tmp_path


def test_what_is_asked_for(here: Path) -> None:
    (here / "more").mkdir()
    (here / "more" / "image.png").write_bytes(b"\x89PNG")
    words = (
        "127.0.0.1:1 -r one.json --request more -c 1,8 --rate 0.5,100 -d 500ms -n 20 --warm-up 0 --turns 3"
    )
    plan = read_words([*words.split(), "-H", "X-One: 1", "--header", "x-two: 2"])
    assert plan.paces == (Closed(1), Closed(8), Open(0.5, 1000), Open(100.0, 1000))
    assert (plan.duration, plan.requests, plan.warm_up, plan.turns) == (0.5, 20, 0, 3)
    assert [body.content_type for body in plan.bodies] == ["application/json", "image/png"]
    (side,) = plan.sides
    assert side.where.url == "http://127.0.0.1:1/score"
    assert side.headers == (("X-One", "1"), ("x-two", "2"))


def test_what_is_not_said_is_bounded(here: Path) -> None:
    (here / "sample-request.json").write_text("{}")
    plan = read_words([])
    assert plan.sides[0].where.url == "http://127.0.0.1:5001/score"
    assert plan.paces == (Closed(8),)
    assert (plan.duration, plan.timeout, plan.max_errors) == (10, 10, 0)
    assert [body.name for body in plan.bodies] == ["sample-request.json"]
    assert read_words(["-n", "5"]).duration == 60
    assert read_words(["--rate", "5"]).paces == (Open(5, 1000),)
    assert read_words(["--method", "get"]).bodies[0].content == b""


def test_keys_come_from_a_variable_or_a_file_and_stay_with_their_server(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", "first-key")
    (here / "two").write_text("second-key\n")
    words = ["-r", "one.json", "127.0.0.1:1", "--key_env", "ONE", "--compare"]

    def keys(*more: str) -> list[str]:
        sides = read_words([*words, *more]).sides
        return [dict(side.headers).get("Authorization", "") for side in sides]

    assert keys("127.0.0.1:1/other") == ["Bearer first-key", "Bearer first-key"]
    assert keys("127.0.0.1:2") == ["Bearer first-key", ""]
    assert keys("127.0.0.1:2", "--compare_key_file", "two") == ["Bearer first-key", "Bearer second-key"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "nothing to send: name a file with -r (there is no sample-request.json in this folder)"),
        ("-r two.json", "two.json cannot be read: No such file"),
        ("-r one.json 192.0.2.1:5001", "http://192.0.2.1:5001/score is not on this machine"),
        ("-r one.json --compare 192.0.2.1", "http://192.0.2.1/score is not on this machine"),
        ("-r one.json ftp://x", "'ftp://x' is no address such as http://127.0.0.1:5001/score"),
        ("-r one.json -c 0", "-c/--concurrency: expects a whole number of 1 or more, got '0'"),
        ("-r one.json -c 8,2000", "2000 callers are more than the 1000 connections that are allowed"),
        ("-r one.json --rate 20000", "20000 requests a second are more than the 10000 that are allowed"),
        ("-r one.json --rate 0", "--rate: expects a number above 0, got '0'"),
        ("-r one.json -d soon", "-d/--duration: expects a time such as 10s, 500ms or 2m, got 'soon'"),
        ("-r one.json -d 0s", "-d/--duration: expects a time above 0, got '0s'"),
        ("-r one.json --turns 1", "--turns: expects a whole number of 2 or more, got '1'"),
        ("-r one.json -H nonsense", "-H/--header: expects a header such as 'Name: value', got 'nonsense'"),
        ("-r one.json --method BREW", "--method: invalid choice: 'BREW'"),
        ("-r one.json --key_env NOT_SET_AT_ALL", "--key_env: the variable NOT_SET_AT_ALL is not set"),
        ("-r one.json --key_file nowhere", "--key_file: nowhere cannot be read"),
        ("-r one.json --key_file empty", "--key_file: empty is empty"),
        ("-r one.json --key_file lines", "--key_file: holds more than one line"),
        ("-r one.json --key_env A --key_file empty", "--key_env and --key_file name two keys"),
        ("-r one.json --plot load.doc", "--plot: expects a file that ends in .png, .svg, .pdf"),
        ("-r one.json --json no/where.json", "--json: 'no/where.json' cannot be written"),
        ("-r one.json --max_errors 101", "--max_errors: expects a number from 0 to 100"),
        ("-r one.json --nonsense", "unrecognized arguments: --nonsense"),
        ("-r one.json https://127.0.0.1 --cacert one.json", "one.json holds no certificates"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_sent(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    (here / "empty").touch()
    (here / "lines").write_text("a\nb")
    assert main(["bench", *words.split()]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("azmlinfsrv bench: error: ")
    assert said in line
    assert captured.out == ""


def test_more_is_possible_when_it_is_asked_for(here: Path) -> None:
    words = "-r one.json -c 2000 --max_connections 2000 --rate 20000 --max_rate 20000 192.0.2.1 --yes"
    plan = read_words(words.split())
    assert plan.paces == (Closed(2000), Open(20000, 2000))


def test_a_picture_that_cannot_be_drawn_is_told_before_anything_is_measured(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["bench", "-r", "one.json", "--plot", "load.png"]) == 2
    assert capsys.readouterr().err == (
        "azmlinfsrv bench: error: --plot needs matplotlib: pip install 'azmlinfsrv[plot]'\n"
    )


def test_nobody_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "-r", "one.json", "127.0.0.1:9"]) == 1
    assert capsys.readouterr().err == (
        "azmlinfsrv bench: error: no server answers at http://127.0.0.1:9/score (Connection refused)\n"
    )
