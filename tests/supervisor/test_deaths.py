"""Processes that die: the front is replaced behind the same socket, and nothing outlives the supervisor."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from tests.supervisor.running import STAND_IN, alive, ask, connect, report, running, until


def test_a_killed_front_is_replaced_and_nobody_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, STAND_IN) as server:
        first = server.up()["pid"]
        os.kill(first, signal.SIGKILL)
        until(lambda: not alive(first))
        assert report(connect(server.port))["pid"] not in (first, server.process.pid)


def test_a_front_with_a_stuck_loop_is_replaced_and_shows_where(tmp_path: Path) -> None:
    code = "from inference_server.supervisor import gunicorn_settings as g; g.FRONT_TIMEOUT = 1; "
    code += f"import runpy; runpy.run_path({STAND_IN[1]!r}, run_name='__main__')"
    with running(tmp_path, [STAND_IN[0], "-c", code]) as server:
        first = server.up()["pid"]
        stuck = connect(server.port, "/stuck")
        until(lambda: not alive(first))
        assert until(lambda: ask(server.port))["pid"] != first
        assert "in _answer" in server.written()
        stuck.close()


def test_the_front_dies_with_its_supervisor_and_the_port_is_free(tmp_path: Path) -> None:
    with running(tmp_path, STAND_IN) as server:
        front = server.up()["pid"]
        server.signal(signal.SIGKILL)
        server.ends()
        until(lambda: not alive(front), 5)
        until(
            lambda: port_is_free(server.port), 5
        )  # the last thread of the front may outlive its leader a moment


def port_is_free(port: int) -> bool:
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("0.0.0.0", port))
        return True
