"""Clients that leave, politely or not, at every moment of a request: nothing runs for nobody, nobody else notices."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, wait_for
from tests.end_to_end.talk import Talk, chunked, post

SCRIPT = """
    import json, time

    def init():
        pass

    def run(data):
        ask = json.loads(data)
        with open("ran", "a") as ran:
            ran.write(str(ask["name"]) + " ")
        time.sleep(ask.get("sleep", 0))
        return "x" * ask.get("size", 1)
"""


def ask(name: object, **more: object) -> bytes:
    return post(json.dumps({"name": name, **more}).encode())


def ran(server: Server) -> list[str]:
    """The names of the requests that the script was called for, in order."""
    path = server.folder / "ran"
    return path.read_text().split() if path.exists() else []


def queued(server: Server) -> int:
    return int(server.get("/readyz").json()["queued"])


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module(SCRIPT)


@pytest.fixture(autouse=True)
def _no_traceback(server: Server) -> object:
    """Whatever clients do, the log has no traceback of it, and the server still serves."""
    yield
    assert server.score({"name": "after"}).json() == "x"
    assert "Traceback" not in server.log()


def leave(talk: Talk, how: str) -> None:
    if how == "reset":
        talk.reset()
    elif how == "half-close":
        talk.end()
    else:
        talk.close()


@pytest.mark.parametrize("how", ["reset", "close", "half-close"])
def test_a_request_whose_client_left_while_it_waited_is_not_run(server: Server, how: str) -> None:
    with Talk(server) as busy, Talk(server) as neighbour:
        busy.send(ask(f"busy-{how}", sleep=0.7))
        wait_for(lambda: f"busy-{how}" in ran(server))
        leaving = [Talk(server) for _ in range(20)]
        for talk in leaving:
            talk.send(ask(f"left-{how}"))
        wait_for(lambda: queued(server) == 20)
        neighbour.send(ask(f"neighbour-{how}"))
        for talk in leaving:
            leave(talk, how)
        wait_for(lambda: queued(server) == 1)
        assert neighbour.reply().json() == "x"
        assert busy.reply().json() == "x"
        for talk in leaving:
            if how == "half-close":
                assert talk.closed()
            talk.close()
    assert f"left-{how}" not in ran(server)
    assert ran(server).count(f"neighbour-{how}") == 1
    server.wait_log('"POST /score HTTP/1.1" 499 0')


@pytest.mark.parametrize("how", ["reset", "close"])
def test_leaving_in_the_middle_of_a_body(server: Server, how: str) -> None:
    before = len(ran(server))
    bodies = [ask("half", sleep=0)[:-4], chunked(b'{"name": ', b'"half"}')[:-12], post(b"x" * 5_000_000)[:-1]]
    for data in bodies:
        talk = Talk(server)
        talk.send(data)
        leave(talk, how)
    with Talk(server) as talk:
        talk.send(ask("whole"))
        assert talk.reply().json() == "x"
    assert ran(server)[before:] == ["whole"]


@pytest.mark.parametrize("how", ["reset", "close"])
def test_leaving_while_it_runs_and_while_it_is_answered(server: Server, how: str) -> None:
    running = Talk(server)
    running.send(ask(f"running-{how}", sleep=0.3))
    wait_for(lambda: f"running-{how}" in ran(server))
    leave(running, how)
    answered = Talk(server, receive_buffer=4096)
    answered.send(ask("large", size=20_000_000))
    answered.head()
    leave(answered, how)
    with Talk(server) as talk:
        talk.send(ask("next"))
        assert talk.reply().json() == "x"


def test_a_storm_of_resets(server: Server) -> None:
    before = time.monotonic()
    for number in range(300):
        talk = Talk(server)
        with contextlib.suppress(OSError):
            talk.send(ask("storm") * 3 if number % 2 else ask("storm")[:-3])
        talk.reset()
    with Talk(server) as talk:
        talk.send(ask("calm"))
        assert talk.reply().json() == "x"
    assert time.monotonic() - before < 20
    assert queued(server) == 0


def test_what_follows_a_request_in_hand_is_dropped_with_its_client(server: Server) -> None:
    talk = Talk(server)
    talk.send(ask("first", sleep=0.3) + ask("pipelined"))
    wait_for(lambda: "first" in ran(server))
    talk.reset()
    wait_for(lambda: {worker["state"] for worker in server.workers()} == {"ready"})
    assert "pipelined" not in ran(server)


def test_a_client_that_ends_after_its_answer_is_simply_closed(server: Server) -> None:
    with Talk(server) as talk:
        talk.send(ask("polite"))
        assert talk.reply().json() == "x"
        talk.end()
        assert talk.closed()
    with Talk(server) as talk:
        talk.end()
        assert talk.closed()


def test_a_half_closed_client_still_gets_a_large_answer(server: Server) -> None:
    with Talk(server, receive_buffer=4096) as talk:
        talk.send(ask("large", size=8_000_000))
        status, headers = talk.head()
        talk.end()
        assert status == 200
        assert len(talk.rest()) == int(dict(headers)["content-length"])
