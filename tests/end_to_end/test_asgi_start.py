"""The ASGI application when it cannot start: one clear line, under a server of its own and inside another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.lanes import Lane
from tests.end_to_end.running import wait_for

SCRIPT = "def init(): pass\ndef run(data): return data\n"

Start = Callable[..., Lane]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(lane's name, script, **environment)`; what was started is stopped in the end."""
    started: list[Lane] = []

    def made(name: str, script: str, **env: str) -> Lane:
        started.append(Lane(name, tmp_path / "app", script, env))
        return started[-1]

    yield made
    for lane in started:
        lane.server.stop()


def test_wrong_settings_end_a_server_of_its_own(start: Start) -> None:
    lane = start("asgi", SCRIPT, WORKER_COUNT="many")
    assert lane.server.wait() == 3
    assert "WORKER_COUNT: expects a whole number of 1 or more, got 'many'" in lane.server.log()
    assert "Traceback" not in lane.server.log()


def test_wrong_settings_leave_the_host_application_alone(start: Start) -> None:
    lane = start("mounted", SCRIPT, WORKER_COUNT="many")
    wait_for(lambda: lane.server.answers("/score"), 20)  # the host's own route
    reply = lane.score("1")
    assert reply.status == 503
    assert reply.json() == {"message": "The server's settings are wrong; its log says which."}
    assert "WORKER_COUNT: expects a whole number of 1 or more, got 'many'" in lane.server.log()
    assert "Traceback" not in lane.server.log()


def test_a_script_that_cannot_start_is_503_with_the_reason(start: Start) -> None:
    lane = start("asgi", "import nothing_such")
    wait_for(lambda: lane.server.answers("/livez"), 20)
    wait_for(lambda: "nothing_such" in lane.ask("GET", "/readyz").json()["reason"])
    reply = lane.score("1")
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert "(" + str(lane.server.folder / "score.py") + ", line 1, in <module>)" in lane.server.log()
