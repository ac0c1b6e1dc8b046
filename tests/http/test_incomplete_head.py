"""A head is judged while it arrives: what can never become valid is refused at once."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_server.errors import RequestRefused
from inference_server.http.diagnosis import incomplete
from inference_server.http.head import scan
from inference_server.http.limits import Limits

LIMITS = Limits()


@pytest.mark.parametrize(
    ("buffer", "status"),
    [
        (b"\n", 400),
        (b"\rG", 400),
        (b"\x16\x03\x01\x02", 400),  # a TLS greeting on a plain port
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\0", 400),
        (b"GET /" + b"a" * 5000, 414),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 150, 431),
        (b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 9, 431),
    ],
)
def test_refused_early(buffer: bytes, status: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        incomplete(buffer, LIMITS)
    assert caught.value.status == status


def test_what_was_seen_is_not_looked_at_again_but_its_end_is() -> None:
    incomplete(b"GET / HTTP/1.1\r", LIMITS)
    incomplete(b"GET / HTTP/1.1\r\n", LIMITS, seen=15)
    with pytest.raises(RequestRefused):
        incomplete(b"GET / HTTP/1.1\rx", LIMITS, seen=15)
    with pytest.raises(RequestRefused):
        incomplete(bytearray(b"GET / HTTP/1.1\r\nX: a\n"), LIMITS, seen=20)


@pytest.mark.parametrize("first", [b"", b"\r\n"])
@pytest.mark.parametrize(
    "raw",
    [
        b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        b"GET /" + b"a" * 4080 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 99 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 8187 + b"\r\n\r\n",
    ],
    ids=["short", "longest line", "most headers", "longest header"],
)
def test_no_beginning_of_a_valid_head_is_refused(raw: bytes, first: bytes) -> None:
    raw = first + raw
    scan(raw, LIMITS)
    seen = 0
    for end in range(1, len(raw)):
        incomplete(raw[:end], LIMITS, seen)
        seen = end


@given(st.binary(max_size=300), st.integers(0, 300))
def test_raises_nothing_else(buffer: bytes, seen: int) -> None:
    with suppress(RequestRefused):
        incomplete(buffer, LIMITS, min(seen, len(buffer)))
