"""The client: what it counts, and what it refuses to count."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from inference_server.load.bodies import Body
from inference_server.tuning.load import BadAnswer, Heard, InTurn, Load, LoadFailed, cut

Start = Callable[..., int]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def answering() -> Iterator[Start]:
    """`answering(*answers)` -> port: a server that gives each request the next of these bytes, then the last again."""
    listeners: list[socket.socket] = []

    def start(*answers: bytes, pieces: int = 1) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        waiting = list(answers)

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):  # the client leaves when it has heard enough
                while connection.recv(65536):
                    answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                    size = max(1, len(answer) // pieces)
                    for at in range(0, len(answer), size):
                        connection.sendall(answer[at : at + size])
                    if not answer or b"close" in answer:
                        return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def bodies(*contents: bytes) -> InTurn:
    return InTurn([Body("", "application/json", content) for content in contents])


def test_requests_go_in_turn_and_say_how_long_they_are() -> None:
    source = InTurn([Body("a", "application/json", b"[1]"), Body("b", "text/csv", b"1,2\n")])
    places = [next(source) for _ in range(3)]
    assert [place for place, _ in places] == [0, 1, 0]
    head, _, body = places[1][1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert b"Content-Type: text/csv" in head
    assert b"Content-Length: 4" in head
    assert body == b"1,2\n"


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    ],
)
@pytest.mark.parametrize("pieces", [1, 7])
def test_whole_answers_are_counted(answering: Start, answer: bytes, pieces: int) -> None:
    with Load(answering(answer, pieces=pieces), bodies(b"1"), callers=3) as load:
        heard = load.run(0.05, answers=20, longest=10)
    assert len(heard.latencies) >= 20
    assert heard.rate == pytest.approx(len(heard.latencies) / heard.seconds)
    assert 0 < heard.percentile(0.5) <= heard.percentile(0.99)


def test_the_callers_stay_between_two_listenings(answering: Start) -> None:
    with Load(answering(OK), bodies(b"1", b"2"), callers=2) as load:
        first = load.run(0, answers=5, longest=10)
        second = load.run(0, answers=5, longest=10)
    assert len(first.latencies) >= 5
    assert len(second.latencies) >= 5


def test_an_answer_that_is_no_200_stops_it_and_names_the_request(answering: Start) -> None:
    bad = b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 7\r\n\r\nno good"
    with (
        Load(answering(OK, bad), bodies(b"1", b"2"), callers=1) as load,
        pytest.raises(BadAnswer, match="422") as caught,
    ):
        load.run(5)
    assert (caught.value.status, caught.value.body, caught.value.sent) == (422, b"no good", 1)


def test_a_chunked_error_is_shown_whole() -> None:
    found = cut(b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")
    assert found is not None
    assert (found.status, found.body) == (500, b"abcd")


def test_a_broken_connection_is_said(answering: Start) -> None:
    with (
        Load(answering(b""), bodies(b"1"), callers=1) as load,
        pytest.raises(LoadFailed, match="closed a connection"),
    ):
        load.run(5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LoadFailed, match="no connection"):
        Load(port, bodies(b"1"), callers=1)


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(LoadFailed, match="without a length"):
        cut(b"HTTP/1.1 200 OK\r\n\r\n")


def test_percentiles_and_a_busy_client() -> None:
    heard = Heard([float(number) for number in range(1, 101)], seconds=2.0, busy=0.5)
    assert heard.percentile(0.5) == 51
    assert heard.percentile(0.99) == 100
    assert heard.rate == 50
    assert not heard.limited
    assert Heard([1.0], seconds=1.0, busy=0.95).limited
