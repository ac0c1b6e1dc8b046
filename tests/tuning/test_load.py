"""The load of a measurement: it stops at the first failure, and says what failed."""

from __future__ import annotations

import socket

import pytest

from inference_server.load.bodies import Body
from inference_server.load.requests import InTurn
from inference_server.load.target import target
from inference_server.tuning.load import BadAnswer, Load, LoadFailed
from tests.load.raw_servers import OK, always, closes, listening


def load(port: int, callers: int) -> Load:
    where = target(f"http://127.0.0.1:{port}/score")
    return Load(where, InTurn(where, [Body("a", "", b"1"), Body("b", "", b"2")]), callers)


def test_the_callers_stay_between_two_listenings() -> None:
    with listening(always(OK)) as port, load(port, 2) as callers:
        first = callers.run(0, answers=5, longest=10)
        second = callers.run(0, answers=5, longest=10)
    assert first.latency.count >= 5
    assert second.latency.count >= 5


def test_an_answer_that_is_no_success_stops_it_and_names_the_request() -> None:
    bad = b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 7\r\n\r\nno good"
    with (
        listening(always(OK, bad)) as port,
        load(port, 1) as callers,
        pytest.raises(BadAnswer, match="422") as caught,
    ):
        callers.run(5)
    assert (caught.value.status, caught.value.text, caught.value.place) == (422, "no good", 1)


def test_a_broken_connection_is_said() -> None:
    with (
        listening(closes) as port,
        load(port, 1) as callers,
        pytest.raises(LoadFailed, match="closed the connection"),
    ):
        callers.run(5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with load(port, 1) as callers, pytest.raises(LoadFailed, match="refused"):
        callers.run(5)
