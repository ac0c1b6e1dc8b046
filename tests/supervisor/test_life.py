"""The life of the command under both supervisors: start, stop, signals, exit codes."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.supervisor.running import STAND_IN, Running, connect, free_port, report, running, until

BOTH = pytest.mark.parametrize("supervisor", ["gunicorn", "none"])


@BOTH
def test_a_stop_finishes_what_was_accepted(tmp_path: Path, supervisor: str) -> None:
    gate = tmp_path / "gate"
    with running(tmp_path, STAND_IN, "--supervisor", supervisor, STAND_IN_GATE=str(gate)) as server:
        server.up()
        waiting = _accepted(server, "/wait")
        server.signal(signal.SIGTERM)
        until(lambda: _refused(server.port))
        gate.touch()
        assert report(waiting)["calls"] == ["stop"]
        assert server.ends() == 0


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(tmp_path: Path, supervisor: str, number: int) -> None:
    with running(tmp_path, STAND_IN, "--supervisor", supervisor, STAND_IN_GATE="/nowhere/gate") as server:
        server.up()
        waiting = _accepted(server, "/wait")
        server.signal(number)
        until(lambda: _refused(server.port))
        server.signal(number)
        assert server.ends(5) == 0
        waiting.close()


@BOTH
def test_ctrl_c_in_a_terminal_is_one_graceful_stop(tmp_path: Path, supervisor: str) -> None:
    gate = tmp_path / "gate"
    with running(tmp_path, STAND_IN, "--supervisor", supervisor, STAND_IN_GATE=str(gate)) as server:
        server.up()
        waiting = _accepted(server, "/wait")
        os.killpg(server.process.pid, signal.SIGINT)
        until(lambda: _refused(server.port))
        gate.touch()
        assert report(waiting)["calls"] == ["stop"]
        assert server.ends() == 0


@BOTH
def test_signals_about_workers_reach_the_front(tmp_path: Path, supervisor: str) -> None:
    with running(tmp_path, STAND_IN, "--supervisor", supervisor) as server:
        front = server.up()["pid"]
        for number, call in [
            (signal.SIGHUP, "reload"),
            (signal.SIGTTIN, "scale +1"),
            (signal.SIGTTOU, "scale -1"),
            (signal.SIGUSR1, "reopen_logs"),
        ]:
            server.signal(number)
            until(lambda call=call: server.ask()["calls"][-1:] == [call])
        assert server.ask()["pid"] == front


@BOTH
def test_a_first_start_that_fails_is_exit_code_3(tmp_path: Path, supervisor: str) -> None:
    with running(tmp_path, STAND_IN, "--supervisor", supervisor, STAND_IN_FAILS="1") as server:
        assert server.ends() == 3


@BOTH
def test_a_port_in_use_is_exit_code_1_after_some_tries(tmp_path: Path, supervisor: str) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running(tmp_path, STAND_IN, "--supervisor", supervisor, "--port", str(port)) as server:
            assert server.ends() == 1
            assert server.written().count("Connection in use") == 5


@BOTH
def test_health_has_its_own_socket_the_first_one(tmp_path: Path, supervisor: str) -> None:
    health = free_port()
    flags = ["--supervisor", supervisor, "--health_port", str(health)]
    with running(tmp_path, STAND_IN, *flags, SEPERATE_HEALTH_ENDPOINT="true") as server:
        assert server.up()["ports"] == [health, server.port]


def test_lines_of_the_supervisor_look_like_all_others(tmp_path: Path) -> None:
    with running(tmp_path, STAND_IN) as server:
        server.up()
        listening = f"I [{server.process.pid}] gunicorn.error - Listening at: http://0.0.0.0:{server.port}"
        assert listening in (tmp_path / "err").read_text()


def _accepted(server: Running, path: str) -> socket.socket:
    """A request that the front has in its hands."""
    sock = connect(server.port, path)
    until(lambda: server.ask()["owed"] == 2)
    return sock


def _refused(port: int) -> bool:
    """Whether nobody listens any more."""
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False
