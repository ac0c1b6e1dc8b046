"""The benchmark's own HTTP reader: a wrong reader would make wrong figures."""

from __future__ import annotations

import pytest

from benchmarks.load.http import Answers, request_bytes

COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("data", [COUNTED, CHUNKED])
def test_an_answer_is_whole_only_at_its_last_byte(data: bytes) -> None:
    answers = Answers()
    for at in range(len(data) - 1):
        assert answers.feed(data[at : at + 1]) is None
    assert answers.feed(data[-1:]) == (200, b"hello")
    assert not answers.buffer
    assert answers.keep


def test_what_follows_stays_for_the_next() -> None:
    answers = Answers()
    assert answers.feed(COUNTED + CLOSING) == (200, b"hello")
    assert answers.feed(b"") == (500, b"")
    assert not answers.keep


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown length"):
        Answers().feed(b"HTTP/1.1 200 OK\r\n\r\n")


def test_a_request_is_whole() -> None:
    assert request_bytes(80, "/score", b"{}") == (
        b"POST /score HTTP/1.1\r\nhost: 127.0.0.1:80\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
