"""What the generator counts, over real sockets: answers, failures of each kind, and time that callers would have waited."""

from __future__ import annotations

import itertools
import socket
import threading
import time

import pytest

from inference_server.load import tally
from inference_server.load.bodies import Body
from inference_server.load.generator import Closed, Load, Open
from inference_server.load.requests import InTurn
from inference_server.load.tally import Tally
from inference_server.load.target import Target, target
from tests.load.raw_servers import FAILED, OK, always, closes, deaf, listening, resets, silent


def source(where: Target, *contents: bytes, timed: float = 0.0) -> InTurn:
    return InTurn(
        where, [Body("", "application/json", content) for content in contents or [b"1"]], timed=timed
    )


def loaded(
    port: int,
    pace: Closed | Open,
    seconds: float = 10.0,
    requests: int = 0,
    timeout: float = 5.0,
    content: bytes = b"1",
) -> Tally:
    """A whole load, its end included."""
    where = target(f"http://127.0.0.1:{port}")
    with Load(where, source(where, content), pace, timeout) as load:
        load.connect()
        result = load.run(seconds, requests=requests)
        load.finish()
    return result


def test_all_answers_are_counted_once() -> None:
    with listening(always(OK)) as port:
        found = loaded(port, Closed(3), requests=100)
    assert found.statuses == {200: 100}
    assert (found.good, found.failed, found.requests, found.in_time) == (100, 0, 100, 100)
    assert found.latency.count == 100
    assert 0 < found.latency.percentile(0.5) <= found.latency.most < found.seconds < 10
    assert found.rate == pytest.approx(100 / found.seconds)
    assert found.received == 100 * len(OK)
    assert found.sent > 100 * 50
    assert found.opened == 0  # they were open before it began


@pytest.mark.parametrize(
    "answer", [OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"HTTP/1.0 200 OK\r\n\r\nok"]
)
@pytest.mark.parametrize("pace", [Closed(2), Open(500, 4)])
def test_connections_that_the_server_closes_are_opened_again(answer: bytes, pace: Closed | Open) -> None:
    with listening(always(answer, close=True)) as port:
        found = loaded(port, pace, requests=30)
    assert (found.statuses, found.errors) == ({200: 30}, {})
    assert found.opened >= 28


@pytest.mark.parametrize(
    ("handle", "kind"),
    [
        (resets, tally.RESET),
        (closes, tally.CLOSED),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", close=True), tally.WRONG_LENGTH),
        (always(OK + b"more"), tally.WRONG_LENGTH),
        (always(b"220 mail ready\r\n"), tally.NO_HTTP),
        (silent, tally.TIMEOUT),
    ],
)
@pytest.mark.parametrize("pace", [Closed(2), Open(200, 20)])
def test_each_kind_of_failure_has_its_name(handle: object, kind: str, pace: Closed | Open) -> None:
    with listening(handle) as port:  # type: ignore[arg-type]
        found = loaded(port, pace, requests=6, timeout=0.3)
    assert found.errors == {kind: 6}
    assert (found.good, found.failed, found.rate) == (0, 6, 0)
    assert found.failures[kind].text
    # who waited in vain waited as long as it took to give up
    assert found.latency.count == (6 if kind == tally.TIMEOUT else 0)
    assert kind != tally.TIMEOUT or found.latency.percentile(0.5) >= 0.3


def test_a_server_that_reads_nothing_does_not_hold_the_generator() -> None:
    with listening(deaf) as port:
        started = time.monotonic()
        found = loaded(port, Closed(1), requests=2, timeout=0.4, content=b"x" * 20_000_000)
    assert found.errors == {tally.TIMEOUT: 2}
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("pace", [Closed(2), Open(100, 10)])
def test_nobody_there(pace: Closed | Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = loaded(port, pace, requests=4)
    assert found.errors == {tally.REFUSED: 4}
    assert found.failures[tally.REFUSED].place is None


def test_statuses_that_are_no_success_are_failures_and_are_shown() -> None:
    with listening(always(OK, FAILED)) as port:
        where = target(f"http://127.0.0.1:{port}")
        with Load(where, source(where, b"1", b"2"), Closed(1)) as load:
            found = load.run(10, requests=4)
    assert found.statuses == {200: 1, 500: 3}
    failure = found.failures["500"]
    assert (failure.text, failure.place, failure.status) == ("boom", 1, 500)
    assert found.latency.count == 1


def test_large_bodies_go_both_ways() -> None:
    size = 3_000_000

    def handle(connection: socket.socket) -> None:
        for _ in itertools.count():
            left = size
            while left > 0:
                data = connection.recv(1 << 16)
                if not data:
                    return
                left -= len(data.partition(b"\r\n\r\n")[2] if data.startswith(b"POST") else data)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"y" * size)

    with listening(handle) as port:
        found = loaded(port, Closed(2), requests=4, content=b"x" * size)
    assert found.statuses == {200: 4}
    assert found.received > 4 * size
    assert found.sent > 4 * size


def test_a_constant_rate_is_kept() -> None:
    with listening(always(OK)) as port:
        found = loaded(port, Open(200, 10), seconds=0.5)
    assert found.requests == 100
    assert found.statuses == {200: 100}
    assert found.latency.percentile(0.5) < 0.1


def test_a_stall_is_charged_for_all_who_would_have_waited() -> None:
    """100 requests a second, and one of them holds the only connection for half a second."""
    stalled = threading.Event()

    def handle(connection: socket.socket) -> None:
        while connection.recv(65536):
            if not stalled.is_set():
                stalled.set()
                time.sleep(0.5)
            connection.sendall(OK)

    with listening(handle) as port:
        open_loop = loaded(port, Open(100, 1), seconds=1.0)
        stalled.clear()
        closed_loop = loaded(port, Closed(1), seconds=1.0)
    assert open_loop.requests == 100
    # those that were due meanwhile waited 0.5 s, 0.49 s, 0.48 s, …
    assert 0.3 < open_loop.latency.percentile(0.8) < 0.5
    assert open_loop.latency.percentile(0.55) > 0.02
    assert closed_loop.latency.percentile(0.8) < 0.1  # which a closed loop does not see


def test_requests_that_find_no_connection_in_time_have_failed() -> None:
    with listening(silent) as port:
        found = loaded(port, Open(100, 2), seconds=0.3, timeout=0.3)
    assert found.requests == 30
    assert set(found.errors) == {tally.TIMEOUT, tally.CROWDED}
    assert found.latency.count == 30


def test_the_warm_up_is_not_counted() -> None:
    with listening(always(OK)) as port:
        where = target(f"http://127.0.0.1:{port}")
        with Load(where, source(where), Closed(2)) as load:
            first = load.run(0, answers=5, longest=10)
            second = load.run(0, answers=5, longest=10)
    assert first.latency.count >= 5
    assert 5 <= second.latency.count <= 7


def test_it_ends_when_it_is_told_to() -> None:
    with listening(silent) as port:
        where = target(f"http://127.0.0.1:{port}")
        with Load(where, source(where), Closed(1), timeout=60) as load:
            seen = []

            def watch(_: Tally) -> None:
                seen.append(1)
                load.stopping = len(seen) == 3

            found = load.run(30, watch=watch)
            load.finish()
    assert found.cut
    assert found.requests == 0
    assert found.seconds < 5


def test_timing_is_asked_for_by_some_and_added_up() -> None:
    answer = b'HTTP/1.1 200 OK\r\nServer-Timing: queue;dur=1.5;desc="a, b", run;dur=2, x, total;dur=4\r\nContent-Length: 0\r\n\r\n'
    with listening(always(answer)) as port:
        where = target(f"http://127.0.0.1:{port}")
        with Load(where, source(where, timed=0.5), Closed(1)) as load:
            load.run(10, requests=200)
            found = load.run(10, requests=100)
    means = {name: durations.mean for name, durations in found.timing.phases.items()}
    assert means == pytest.approx({"queue": 0.0015, "run": 0.002, "total": 0.004})
    assert 25 < found.timing.seen.count < 75
    assert found.timing.outside == 0  # it claims more than there was
