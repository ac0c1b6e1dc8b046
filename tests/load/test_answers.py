"""Where each answer ends, however it arrives."""

from __future__ import annotations

import pytest

from inference_server.load.answers import MOST_HEAD, Answers, Malformed, WrongLength

ANSWERS = {
    "counted": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "empty": b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\nz: 1\r\n\r\n",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "after another": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n1",
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_complete_with_its_last_byte(name: str, size: int) -> None:
    data, answers = ANSWERS[name], Answers()
    for _ in range(2):  # the second one on the same connection
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        assert [answers.feed(part) for part in parts] == [False] * (len(parts) - 1) + [True]
        assert answers.status in (200, 204)
        assert not answers.closes
        assert not answers.begun


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", True),
        (b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n", False),
    ],
)
def test_whether_the_connection_stays(head: bytes, closes: bool) -> None:
    answers = Answers()
    assert answers.feed(head + b"Content-Length: 1\r\n\r\n1")
    assert answers.closes is closes


def test_without_a_length_it_ends_with_the_connection() -> None:
    answers = Answers()
    assert not answers.feed(b"HTTP/1.1 500 X\r\n\r\nsome")
    assert not answers.feed(b" text")
    assert answers.end()
    assert (answers.status, answers.sample, answers.closes) == (500, b"some text", True)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 422 X\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_the_body_of_an_error_can_be_shown(data: bytes, size: int) -> None:
    answers = Answers()
    for at in range(0, len(data), size):
        complete = answers.feed(data[at : at + size])
    assert complete
    assert answers.sample == b"abcd"


def test_what_the_server_says_of_its_time_is_read_where_it_was_asked_for() -> None:
    data = b"HTTP/1.1 200 OK\r\nServer-Timing: run;dur=1\r\nserver-timing: total;dur=2\r\nContent-Length: 0\r\n\r\n"
    answers = Answers()
    assert answers.feed(data)
    assert answers.timing == b""
    assert answers.feed(data, timed=True)
    assert answers.timing == b"run;dur=1, total;dur=2"


def test_the_answer_to_head_has_no_body() -> None:
    answers = Answers()
    answers.bodiless = True
    assert answers.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n", Malformed),
        (b"HTTP/2 200\r\n\r\n", Malformed),
        (b"HTTP/1.1 abc\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * MOST_HEAD, Malformed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n12", WrongLength),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP", WrongLength),
    ],
)
def test_what_is_no_answer_is_said(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        Answers().feed(data)
    assert type(caught.value) is error


def test_an_answer_that_is_cut_short() -> None:
    for data in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n12",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200",
    ):
        answers = Answers()
        assert not answers.feed(data)
        with pytest.raises(WrongLength):
            answers.end()
    assert not Answers().end()
