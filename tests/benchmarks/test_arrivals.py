"""The callers of the open and the closed loop, against a server that answers, one that is silent, and none."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.load.arrivals import LEFT, NO_ANSWER, Call, Target, closed_loop, open_loop, poisson
from tests.end_to_end.running import wait_for

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.contextmanager
def server(answers: bool = True) -> Iterator[tuple[int, list[bytes]]]:
    """Answers every piece that arrives with ANSWER, or nothing at all; hands out its port and what came."""
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                with contextlib.suppress(OSError):
                    while data := connection.recv(1 << 16):
                        came.append(data)
                        if answers:
                            connection.sendall(ANSWER)
                came.append(b"")

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)


def test_each_is_sent_when_it_is_due_and_answered() -> None:
    calls = [Call(b"one"), Call(b"two", due=0.05), Call(b"three", due=0.05)]
    with server() as (port, came):
        open_loop(Target(port, "/score", b"x-more: 1\r\n"), calls)
    assert [call.status for call in calls] == [200, 200, 200]
    assert [call.begun >= call.due for call in calls] == [True] * 3
    assert all(call.latency_ms > 0 for call in calls)
    assert came[0].startswith(b"POST /score HTTP/1.1")
    assert b"\r\nx-more: 1\r\n" in came[0]


@pytest.mark.parametrize("hold_on", [False, True])
def test_who_leaves_has_left_and_closes_or_only_stops_listening(hold_on: bool) -> None:
    calls = [Call(b"leaves", stay=0.02), Call(b"stays", due=0.15)]
    with server(answers=False) as (port, came):
        open_loop(Target(port, "/", hold_on=hold_on), calls, patience=0.1)
        assert [call.status for call in calls] == [LEFT, NO_ANSWER]
        wait_for(lambda: b"" in came, why="the server sees the end of a connection")
        first_end, second = came.index(b""), next(at for at, data in enumerate(came) if b"stays" in data)
    assert (first_end > second) is hold_on


def test_nobody_there_is_no_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        calls = [Call(b"x")]
        open_loop(Target(taken.getsockname()[1], "/"), calls)
    assert calls[0].status == NO_ANSWER


def test_closed_loop_callers_ask_again_once_they_have_their_answer() -> None:
    with server() as (port, _):
        calls = closed_loop(Target(port, "/"), lambda: Call(b"x"), 0.2, 3)
    assert len(calls) > 6
    assert {call.status for call in calls} == {200}


def test_poisson_arrivals_come_at_their_rate() -> None:
    moments = list(poisson(1000, 10, random.Random(1)))
    assert moments == sorted(moments)
    assert 9500 < len(moments) < 10_500
    assert moments[-1] < 10
