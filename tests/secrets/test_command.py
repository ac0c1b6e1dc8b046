"""`azmlinfsrv secret`: the command itself, with a terminal and without."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from inference_server.cli.secret import main
from inference_server.secrets.store import Store
from tests.end_to_end.running import clean_environment, command

VALUE = "hunter2-hunter2"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store that the command uses."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Store(tmp_path / "azmlinfsrv" / "secrets.json", lambda: "")


def test_set_list_and_remove(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "value").write_text(VALUE + "\n")
    assert main(["list"]) == 0
    assert main(["set", "one", "--file", "value"]) == 0
    assert main(["set", "longer/name", "--file", "value", "--secrets-file", "other.json"]) == 0
    assert store.get("one") == VALUE
    assert Store(tmp_path / "other.json", lambda: "").get("longer/name") == VALUE
    assert main(["list"]) == 0
    assert main(["remove", "one"]) == 0
    assert main(["remove", "one"]) == 1
    said = capsys.readouterr()
    assert "no secrets in" in said.out
    assert "\none  20" in said.out
    assert "there is no secret 'one' in" in said.err
    assert "hunter2" not in said.out + said.err


@pytest.mark.parametrize(
    "words",
    [
        ["set", "name", VALUE],
        ["set", "name", "--value", VALUE],
        ["set", "name", f"--value={VALUE}", "--file", "x"],
    ],
)
def test_a_value_on_the_command_line_is_refused_and_not_repeated(
    store: Store, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "shows in process lists and the shell's history" in said
    assert VALUE not in said
    assert store.entries() == []


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "required: action"),
        (["set"], 2, "set takes one name"),
        (["remove"], 2, "remove takes one name"),
        (["remove", "a", "b"], 2, "remove takes one name"),
        (["list", "a"], 2, "list takes no name"),
        (["remove", "a", "--file", "x"], 2, "--file is for set"),
        (["set", "bad name"], 1, "is no name of a secret"),
        (["set", "name", "--file", "nothing"], 1, "cannot be read: No such file"),
        (["set", "name", "--file", "/dev/null"], 1, "is no file"),
    ],
)
def test_wrong_use(
    store: Store, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    assert main(words) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert store.entries() == []


def start(words: list[str], **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command("secret", *words), env=clean_environment(), **more)  # type: ignore[call-overload,no-any-return]


def test_commands_at_the_same_time_lose_nothing(store: Store) -> None:
    names = [f"name{number}" for number in range(4)]
    running = [start(["set", name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for name in names]
    for process, name in zip(running, names, strict=True):
        process.communicate(f"value of {name}\n".encode(), timeout=60)
    assert [process.returncode for process in running] == [0] * 4
    assert {name: store.get(name) for name in names} == {name: f"value of {name}" for name in names}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (b"", "the value is empty"),
        (b"\n", "the value is empty"),
        (b"\xff", "no text in UTF-8"),
        (b"a\0b", "NUL"),
    ],
)
def test_standard_input_without_a_value(store: Store, given: bytes, sentence: str) -> None:
    process = start(["set", "name"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    _, error = process.communicate(given, timeout=60)
    assert process.returncode in (1, 2)
    assert sentence in error.decode()
    assert store.entries() == []


def test_a_terminal_does_not_show_what_is_typed(store: Store) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command("secret", "set", "typed"), clean_environment())
    shown = b""
    try:
        while b"(not shown): " not in shown:
            shown += os.read(terminal, 1024)
        os.write(terminal, VALUE.encode() + b"\n")
        while True:
            try:
                part = os.read(terminal, 1024)
            except OSError:  # the other side has closed
                break
            if not part:
                break
            shown += part
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert VALUE.encode() not in shown
    assert store.get("typed") == VALUE
