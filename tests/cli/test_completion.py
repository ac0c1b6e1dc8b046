"""Completion: what the scripts offer in the shells themselves."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference_server.cli import COMMANDS, main
from inference_server.cli.commands import options, summaries
from tests.tools import require_tool

_ASK = """
source "$1"; shift
COMP_WORDS=(azmlinfsrv "$@"); COMP_CWORD=$#
_azmlinfsrv
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    file = folder / f"azmlinfsrv.{shell}"
    file.write_text(capfd.readouterr().out)
    return file


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["te"], ["test"]),
        (["--ch"], ["--channel"]),
        (["--channel", ""], ["socketpair", "tcp"]),
        (["--port", ""], [""]),
        (["test", "--fu"], ["--full"]),
        (["test", "--entry_script", "score"], ["score with space.py"]),
        (["test", "--model_dir", ""], ["model"]),
        (["init", "mod"], ["model"]),
        (["completion", "f"], ["fish"]),
        (["tune", "--lat"], ["--latency_ms"]),
        (["tune", "--model_d"], ["--model_dir"]),
        (["tune", "--port"], [""]),
        (["replay", "--br"], ["--break"]),
        (["bench", "--conc"], ["--concurrency"]),
        (["bench", "--method", "PU"], ["PUT"]),
        (["bench", "--plot", "mod"], ["model"]),
    ],
)
def test_bash(
    words: list[str],
    offered: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = script("bash", tmp_path, capfd)
    folder = tmp_path / "project"
    (folder / "model").mkdir(parents=True)
    (folder / "score with space.py").touch()
    command = [require_tool("bash"), "--norc", "-c", _ASK, "-", str(file), *words]
    asked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines() == offered


@pytest.mark.system
def test_fish(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = script("fish", tmp_path, capfd)
    code = f"source {file}; for line in 'te' '--ch' '--channel ' 'test --fu' 'completion b'; complete -C\"azmlinfsrv $line\"; end"
    command = [require_tool("fish"), "--no-config", "-c", code]
    asked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    words = [line.partition("\t")[0] for line in asked.stdout.splitlines()]
    assert words == ["test", "--channel", "socketpair", "tcp", "--full", "bash"]


@pytest.mark.system
def test_zsh(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Over a real terminal: Tab is pressed."""
    pty = pytest.importorskip("pty")
    file = script("zsh", tmp_path, capfd)
    main_end, other_end = pty.openpty()
    command = [require_tool("zsh"), "-f", "-i"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=other_end, stdout=other_end, stderr=other_end, start_new_session=True
    )
    os.close(other_end)
    try:
        os.write(main_end, f"autoload -U compinit; compinit -u -D; source {file}; echo is-''ready\n".encode())
        read_until(main_end, b"is-ready")
        for typed, completed in ("azmlinfsrv --chan\t", b"--channel"), ("tc\t", b"p"):
            os.write(main_end, typed.encode())
            read_until(main_end, completed)
    finally:
        process.kill()
        process.wait()
        os.close(main_end)


def read_until(descriptor: int, wanted: bytes, seconds: float = 20.0) -> None:
    seen = b""
    until = time.monotonic() + seconds
    while wanted not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        assert ready, seen
        seen += os.read(descriptor, 4096)


def test_every_command_says_what_it_does() -> None:
    assert set(summaries()) == set(COMMANDS)
    assert set(options()) == {"", *COMMANDS}
    for name, about in summaries().items():
        assert options()[name], name
        assert about[0].isupper(), name
        assert 10 < len(about) < 90, about
        assert not about.endswith("."), about


def test_a_shell_that_is_unknown_is_refused_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("azmlinfsrv completion: error: argument shell: invalid choice: 'tcsh'")


def test_the_help_lists_the_commands(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capfd.readouterr().out
    for name, about in summaries().items():
        assert re.search(f"^  {re.escape(name)} +{re.escape(about)}$", out, re.MULTILINE)
    assert "examples:\n  azmlinfsrv --entry_script score.py" in out


def test_starting_imports_no_command() -> None:
    """The list is made for the help alone: a server must not wait for it."""
    code = "import sys; from inference_server.cli.flags import parse; parse(['--port', '1']); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "inference_server.cli.init" not in found.stdout.split()


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "inference_server", "completion", "bash"]
    ran = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert ran.stderr == b""
