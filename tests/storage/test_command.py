"""`azmlinfsrv storage-initializer` from end to end, as its user sees it."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from inference_server.cli.storage_initializer import main
from tests.storage.bringing import Here, command, content, ended
from tests.storage.flaky_http import FlakyHttp, Status


@pytest.fixture
def code(here: Here) -> Path:
    folder = here.root / "code"
    folder.mkdir()
    (folder / "score.py").write_text("def run(data):\n    return data\n")
    return folder


def test_model_and_code_become_a_deployment(here: Here, web: FlakyHttp, code: Path) -> None:
    body = os.urandom(300_000)
    web.put("/iris.onnx", body, etag='"1"', faults=[Status(503, retry_after=0)])
    model = here.root / "app" / "azureml-models" / "iris" / "1"
    words = [web.url("/iris.onnx"), model, code, here.root / "app" / "code"]
    ended_with, out, err = ended(command(here, *words))
    assert (ended_with, err) == (0, "")
    assert content(model) == {"iris.onnx": body}
    assert content(here.root / "app" / "code") == content(code)
    lines = out.splitlines()
    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[\d+\] azmlinfsrv\.storage - "
    assert re.fullmatch(line + r"http://\S+/iris\.onnx .*503.*; again in [\d.]+ s \(1 of 6\)", lines[0])
    assert re.fullmatch(
        line + rf"fetched http://\S+/iris\.onnx: 1 file, 300 kB in \S+ s \(.*/s\), now in {model}", lines[1]
    )
    assert re.fullmatch(line + rf"fetched {code}: 1 file, 31 B in .*, now in \S+/app/code", lines[2])
    ended_with, out, _ = ended(command(here, *words))
    assert ended_with == 0
    assert out.count("nothing to do for") == 2


def test_one_that_fails_is_one_line_and_the_others_are_done(here: Here, code: Path) -> None:
    run = command(
        here, here.root / "no", here.root / "a", code, here.root / "b", here.root / "x.tar", here.root / "c"
    )
    ended_with, out, err = ended(run)
    assert ended_with == 1
    assert content(here.root / "b") == content(code)
    assert err.splitlines() == [
        f"azmlinfsrv storage-initializer: error: {here.root}/{dest} was not filled: {here.root}/{name} cannot be read: "
        "no such file or directory"
        for dest, name in (("a", "no"), ("c", "x.tar"))
    ]
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["a"], "'a' has no DEST"),
        (["a", "b", "c"], "'c' has no DEST"),
        (["a", "b", "c", "b/d"], "lie in each other"),
        (["a", "b", "c", "b"], "lie in each other"),
        (["a", "b", "c", ""], "the DEST of 'c' is empty"),
        ([], "the following arguments are required"),
        (["a", "b", "--part-size", "many"], "expects a size in bytes"),
        (["a", "b", "--connections", "0"], "expects a whole number from 1"),
        (["a", "b", "--unheard"], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_sentence(capfd: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert main(words) == 2
    said = capfd.readouterr()
    assert why in said.err
    assert said.err.count("\n") == 1
    assert not said.out


def test_the_help_says_what_the_exit_codes_mean(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capfd.readouterr().out
    assert "exit codes:" in said
    assert "--cache_dir" in said
    assert "143 by SIGTERM" in said


@pytest.mark.parametrize("environ", [{"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_sees_a_bar(here: Here, web: FlakyHttp, environ: dict[str, str]) -> None:
    web.put("/m.bin", os.urandom(400_000), etag='"1"', pace=0.1)
    shown = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        shown.extend(data)
        return b""

    words = ["-m", "inference_server", "storage-initializer", web.url("/m.bin"), str(here.dest)]
    given = {
        **environ,
        "AZMLINFSRV_STORAGE_CACHE_DIR": str(here.cache),
        "AZMLINFSRV_STORAGE_CONNECTIONS": "1",
    }
    process, descriptor = pty.fork()
    if not process:
        os.environ.update(given)
        os.execv(sys.executable, [sys.executable, *words])
    try:
        while True:
            read(descriptor)
    except OSError:  # the terminal is gone
        pass
    os.close(descriptor)
    assert os.waitpid(process, 0)[1] == 0
    text = shown.decode()
    assert f"now in {here.dest}" in text
    bars = re.findall(r"\[(=* *)\] +\d+%, .* of 400 kB, .*/s", text)
    assert bool(bars) == (environ["TERM"] != "dumb")
    assert ("\x1b[32m" in text) == ("NO_COLOR" not in environ and environ["TERM"] != "dumb")
