"""Random and nearly valid heads: scan() refuses or accepts, and accepts nothing ambiguous."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference_server.errors import RequestRefused
from inference_server.http.head import RequestHead, scan
from inference_server.http.limits import Limits

LIMITS = Limits()
STATUSES = {400, 413, 414, 417, 431, 501, 505}

FRAGMENTS = st.sampled_from(
    [
        *(
            b"GET",
            b"POST",
            b"get",
            b"/",
            b"/score",
            b"//",
            b"%73",
            b"*",
            b"?",
            b"http://a/",
            b"HTTP/1.1",
            b"HTTP/1.0",
        ),
        *(
            b"HTTP/2.0",
            b" ",
            b"\t",
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b":",
            b",",
            b";",
            b"_",
            b"\x0b",
            b"\x7f",
            b"\xe9",
        ),
        *(b"Host: a\r\n", b"Content-Length: 5\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n"),
        *(
            b"Transfer-Encoding: ",
            b"chunked",
            b"gzip",
            b"5",
            b"+5",
            b"0x5",
            b"Connection: close\r\n",
            b"x-request-id: ",
        ),
        *(b"Expect: 100-continue\r\n", b"X: a\r\n", b" folded\r\n", b"\r\n\r\n"),
    ]
)
LINE = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"POST /score HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.0\r\n", b""]
)
NEARLY_VALID = st.builds(
    lambda line, parts, end: line + b"".join(parts) + end,
    LINE,
    st.lists(st.one_of(FRAGMENTS, st.binary(max_size=4)), max_size=12),
    st.sampled_from([b"\r\n\r\n", b"\r\n", b""]),
)


def scanned(raw: bytes) -> RequestHead | RequestRefused:
    try:
        return scan(raw, LIMITS)
    except RequestRefused as refused:
        return refused


@settings(max_examples=600, deadline=None)
@given(st.one_of(st.binary(max_size=400), NEARLY_VALID))
@example(b"GET / HTTP/1.0\r\n\r\n")
def test_accepts_nothing_ambiguous(raw: bytes) -> None:
    head = scanned(raw)
    if isinstance(head, RequestRefused):
        assert head.status in STATUSES
        assert head.message.isascii()
        return
    assert raw.endswith(b"\r\n\r\n")
    assert b"\0" not in raw
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert b"\n " not in raw
    assert b"\n\t" not in raw
    lower = raw.lower()
    assert lower.count(b"\nhost:") == 1 or head.version == b"HTTP/1.0"
    assert lower.count(b"\ncontent-length:") <= 1
    assert lower.count(b"\ntransfer-encoding:") <= 1
    assert not (b"\ncontent-length:" in lower and b"\ntransfer-encoding:" in lower)
    assert head.chunked == (b"\ntransfer-encoding:" in lower)


TOKEN = st.text("abcXYZ019-!#$%&'*+.^`|~", min_size=1, max_size=10).map(str.encode)
VALUE = st.binary(max_size=20).map(lambda value: re.sub(rb"[^\t -~\x80-\xff]", b"", value).strip(b" \t"))
SPACE = st.text(" \t", max_size=2).map(str.encode)
FIELDS = st.lists(st.tuples(TOKEN.map(lambda name: b"x-" + name), SPACE, VALUE, SPACE), max_size=8)


@settings(max_examples=200, deadline=None)
@given(FIELDS)
def test_reads_back_what_was_written(fields: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    lines = b"".join(name + b":" + before + value + after + b"\r\n" for name, before, value, after in fields)
    head = scan(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n", LIMITS)
    assert head.headers == [(b"host", b"a"), *((name.lower(), value) for name, _, value, _ in fields)]
    for name, _ in head.headers:
        assert head.get(name) == b",".join(value for other, value in head.headers if other == name)
