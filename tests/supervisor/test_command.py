"""The real command: what it says and what it exits with when it cannot start, and its life when it can."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.supervisor.running import COMMAND, Running, alive, running, until

SCRIPT = """
import os
def init(): pass
def run(data): return {"pid": os.getpid(), "front": os.getppid(), "model": os.getenv("AZUREML_MODEL_DIR")}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "score.py").write_text(SCRIPT)
    return tmp_path


def score(server: Running) -> bytes:
    """The answer of /score, once there is one."""

    def answer() -> bytes:
        assert server.process.poll() is None, server.written()
        return scored(server.port)

    body: bytes = until(answer)
    return body


def scored(port: int) -> bytes:
    """What /score answers now; nothing unless it is 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/score", b"{}")
        response = connection.getresponse()
        return response.read() if response.status == 200 else b""
    finally:
        connection.close()


def test_nothing_to_serve(folder: Path) -> None:
    with running(folder, COMMAND, AZUREML_ENTRY_SCRIPT="score.py") as server:
        assert server.ends() == 1
    lines = (folder / "out").read_text().splitlines()
    assert lines[0].endswith("azmlinfsrv - Error!")
    assert "--entry_script" in lines[1]
    assert "--config_file" in lines[1]


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({"SCORING_TIMEOUT_MS": "abc"}, 3, "SCORING_TIMEOUT_MS: expects"),
        ({"WORKER_COUNT": "abc"}, 1, "WORKER_COUNT: expects"),
        ({"WORKER_TIMEOUT": "abc"}, 2, "WORKER_TIMEOUT: expects"),
    ],
)
def test_a_bad_value(folder: Path, variables: dict[str, str], code: int, said: str) -> None:
    with running(folder, COMMAND, "--entry_script", "score.py", **variables) as server:
        assert server.ends() == code
    out = (folder / "out").read_text()
    assert "C [" in out
    assert "=Configuration Error=" in out
    assert said in out
    assert "Traceback" not in server.written()


@pytest.mark.parametrize(("name", "said"), [("config.json", "Invalid config file!: "), ("logging.json", "")])
def test_a_bad_file(folder: Path, name: str, said: str) -> None:
    (folder / name).write_text("{")
    with running(folder, COMMAND, "--entry_script", "score.py") as server:
        assert server.ends() in (1, 3)
    assert said in (folder / "out").read_text()
    assert str(folder / name) in (folder / "out").read_text()


def test_a_port_in_use(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        with running(
            folder, COMMAND, "--entry_script", "score.py", "--port", str(taken.getsockname()[1])
        ) as server:
            assert server.ends() == 1
    assert "Connection in use" in (folder / "err").read_text()


@pytest.mark.parametrize("supervisor", ["gunicorn", "none"])
def test_a_missing_script(folder: Path, supervisor: str) -> None:
    with running(folder, COMMAND, "--entry_script", "nothing.py", "--supervisor", supervisor) as server:
        assert server.ends() == 3
    assert str(folder / "nothing.py") in server.written()


@pytest.mark.parametrize("supervisor", ["gunicorn", "none"])
def test_it_serves_and_stops(folder: Path, supervisor: str) -> None:
    (folder / "http.py").write_text("raise SystemExit('the current folder is before the standard library')")
    flags = ["--entry_script", "score.py", "--model_dir", "models", "--supervisor", supervisor]
    with running(folder, COMMAND, *flags) as server:
        assert b'"model": "models"' in score(server)
        server.signal(signal.SIGTERM)
        assert server.ends() == 0
    out = (folder / "out").read_text()
    assert out.count("Server Settings") == 1
    assert out.count("ready for serving traffic") == 1


def test_usr2_starts_a_second_server_on_the_same_socket(folder: Path) -> None:
    pid_file = folder / "pid"
    variables = {"GUNICORN_CMD_ARGS": f"--pid {pid_file}"}
    with running(folder, COMMAND, "--entry_script", "score.py", **variables) as server:
        score(server)
        server.signal(signal.SIGUSR2)
        second = int(until(lambda: Path(f"{pid_file}.2").exists() and Path(f"{pid_file}.2").read_text()))
        until(lambda: (folder / "out").read_text().count("ready for serving traffic") == 2)
        server.signal(signal.SIGTERM)
        assert server.ends() == 0
        assert b"pid" in scored(server.port)
        os.kill(second, signal.SIGTERM)
        until(lambda: not alive(second))
