"""Request heads: what is accepted, what is read from it, and with which status the rest is refused."""

from __future__ import annotations

import pytest

from inference_server.errors import RequestRefused
from inference_server.http.head import KnownHeads, from_scope, scan
from inference_server.http.limits import NO_LIMIT, Limits

LIMITS = Limits()
HOST = b"Host: a\r\n"


def head(*lines: bytes, first: bytes = b"POST /score HTTP/1.1", host: bytes = HOST) -> bytes:
    return first + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REFUSED: list[tuple[str, bytes, int]] = [
    # the request line
    ("nothing", b"\r\n\r\n", 400),
    ("two empty lines first", b"\r\n\r\n" + head(), 400),
    ("garbage", b"garbage\r\n\r\n", 400),
    ("HTTP/0.9 simple request", b"GET /score\r\n\r\n", 400),
    ("two spaces", head(first=b"GET  /score HTTP/1.1"), 400),
    ("leading space", head(first=b" GET /score HTTP/1.1"), 400),
    ("trailing space", head(first=b"GET /score HTTP/1.1 "), 400),
    ("tab for space", head(first=b"GET\t/score\tHTTP/1.1"), 400),
    ("space in the target", head(first=b"GET /sc ore HTTP/1.1"), 400),
    ("lower-case method", head(first=b"get /score HTTP/1.1"), 400),
    ("mixed-case method", head(first=b"Post /score HTTP/1.1"), 400),
    ("method of two letters", head(first=b"GO /score HTTP/1.1"), 400),
    ("method of 21 letters", head(first=b"A" * 21 + b" /score HTTP/1.1"), 400),
    ("method with a slash", head(first=b"GE/T /score HTTP/1.1"), 400),
    ("method with parentheses", head(first=b"GET() /score HTTP/1.1"), 400),
    ("no method", head(first=b" /score HTTP/1.1"), 400),
    ("no target", head(first=b"GET HTTP/1.1"), 400),
    ("lower-case version", head(first=b"GET /score http/1.1"), 400),
    ("wrong protocol name", head(first=b"GET /score ICY/1.1"), 400),
    ("version without a dot", head(first=b"GET /score HTTP/11"), 400),
    ("version with two digits", head(first=b"GET /score HTTP/1.10"), 400),
    ("version with a sign", head(first=b"GET /score HTTP/+1.1"), 400),
    ("version with spaces", head(first=b"GET /score HTTP/1. 1"), 400),
    ("HTTP/0.9", head(first=b"GET /score HTTP/0.9"), 505),
    ("HTTP/1.2", head(first=b"GET /score HTTP/1.2"), 505),
    ("HTTP/2.0", head(first=b"GET /score HTTP/2.0"), 505),
    ("HTTP/3.0", head(first=b"GET /score HTTP/3.0"), 505),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\n", 505),
    ("NUL in the target", head(first=b"GET /sc\0ore HTTP/1.1"), 400),
    ("high byte in the target", head(first=b"GET /sc\xc3\xb6re HTTP/1.1"), 400),
    ("DEL in the target", head(first=b"GET /score\x7f HTTP/1.1"), 400),
    ("fragment", head(first=b"GET /score#x HTTP/1.1"), 400),
    ("relative target", head(first=b"GET score HTTP/1.1"), 400),
    ("asterisk for GET", head(first=b"GET * HTTP/1.1"), 400),
    ("authority form", head(first=b"CONNECT a:80 HTTP/1.1"), 400),
    ("other scheme", head(first=b"GET ftp://a/score HTTP/1.1"), 400),
    ("absolute form without a host", head(first=b"GET http:///score HTTP/1.1"), 400),
    ("absolute form with user info", head(first=b"GET http://u@a/score HTTP/1.1"), 400),
    ("request line too long", head(first=b"GET /" + b"a" * 4082 + b" HTTP/1.1"), 414),
    ("garbage line too long", b"a" * 5000 + b"\r\n\r\n", 414),
    # line ends and control characters
    ("bare LF everywhere", b"GET /score HTTP/1.1\nHost: a\n\n", 400),
    ("bare LF after the request line", b"GET /score HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("bare LF after a header", b"GET /score HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    ("bare LF in a value", head(b"X: a\nb"), 400),
    ("bare LF before the request line", b"\n" + head(), 400),
    ("bare CR in a value", head(b"X: a\rb"), 400),
    ("bare CR in a name", head(b"X\rY: a"), 400),
    ("bare CR in the request line", head(first=b"GET /score\r HTTP/1.1"), 400),
    ("CR CR LF", b"GET /score HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    ("NUL in a value", head(b"X: a\0b"), 400),
    ("NUL in a name", head(b"X\0: a"), 400),
    ("control character in a value", head(b"X: a\x01b"), 400),
    ("escape in a value", head(b"X: \x1b[31m"), 400),
    ("vertical tab before a value", head(b"X:\x0bb"), 400),
    ("DEL in a value", head(b"X: \x7f"), 400),
    # header lines
    ("folded with a space", head(b"X: a", b" b"), 400),
    ("folded with a tab", head(b"X: a", b"\tb"), 400),
    ("folded first line", head(b"X: a", host=b" Host: a\r\n"), 400),
    ("space before the colon", head(b"X : a"), 400),
    ("tab before the colon", head(b"X\t: a"), 400),
    ("space before the colon of Content-Length", head(b"Content-Length : 5"), 400),
    ("no colon", head(b"X"), 400),
    ("empty name", head(b": a"), 400),
    ("space in a name", head(b"X Y: a"), 400),
    ("separator in a name", head(b"X(Y): a"), 400),
    ("high byte in a name", head(b"X\xe9: a"), 400),
    ("too many headers", head(*[b"X: a"] * 100), 431),
    ("a header too long", head(b"X: " + b"a" * 8188), 431),
    ("a header name too long", head(b"X" * 8190 + b": a"), 431),
    ("head too long", head(*[b"X: " + b"a" * 8000] * 9), 431),
    # Host
    ("no Host", head(host=b""), 400),
    ("two Hosts", head(b"Host: a"), 400),
    ("two different Hosts", head(b"Host: b"), 400),
    ("two Hosts in HTTP/1.0", head(b"Host: b", first=b"GET /score HTTP/1.0"), 400),
    ("Host with a comma", head(host=b"Host: a,b\r\n"), 400),
    ("Host with a space", head(host=b"Host: a b\r\n"), 400),
    ("Host with a path", head(host=b"Host: a/b\r\n"), 400),
    ("Host with user info", head(host=b"Host: u@a\r\n"), 400),
    ("Host with a bad port", head(host=b"Host: a:b\r\n"), 400),
    ("Host with a huge port", head(host=b"Host: a:123456\r\n"), 400),
    ("Host with a high byte", head(host=b"Host: \xe9\r\n"), 400),
    ("Host with an open bracket", head(host=b"Host: [::1\r\n"), 400),
    ("no Host beside an absolute form", head(first=b"GET http://a/score HTTP/1.1", host=b""), 400),
    # Content-Length
    *[
        (f"Content-Length {value!r}", head(b"Content-Length: " + value), 400)
        for value in (
            *(
                b"",
                b"-1",
                b"+5",
                b"5,5",
                b"5, 5",
                b"5,6",
                b"0x5",
                b"5.0",
                b"5e1",
                b"1_0",
                b"five",
                b"5 5",
                b"'5'",
            ),
            *(b"\xb2", b"5;", b"9" * 19, b"9" * 400, b"00000000000000000005"),
        )
    ],
    ("two Content-Lengths", head(b"Content-Length: 5", b"Content-Length: 6"), 400),
    ("two equal Content-Lengths", head(b"Content-Length: 5", b"content-length: 5"), 400),
    ("body too large", head(b"Content-Length: %d" % (LIMITS.body_bytes + 1)), 413),
    # Transfer-Encoding
    ("both framings", head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    ("both framings, other order", head(b"Transfer-Encoding: chunked", b"Content-Length: 0"), 400),
    ("unknown coding and a length", head(b"Transfer-Encoding: x", b"Content-Length: 0"), 400),
    ("chunked in HTTP/1.0", head(b"Transfer-Encoding: chunked", first=b"POST /score HTTP/1.0"), 400),
    ("chunked twice", head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    ("two coding headers", head(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"), 501),
    *[
        (f"Transfer-Encoding {value!r}", head(b"Transfer-Encoding: " + value), status)
        for value, status in (
            *((b"gzip, chunked", 501), (b"gzip", 501), (b"identity", 501), (b"xchunked", 501), (b"x", 501)),
            *(
                (b"chunked;q=1", 501),
                (b"chunked, gzip", 400),
                (b"chunked, chunked", 400),
                (b"chunked, identity", 400),
            ),
            *(
                (b"", 400),
                (b",chunked", 400),
                (b"chunked,", 400),
                (b'"chunked"', 400),
                (b"chunked gzip", 400),
            ),
            *((b"chunk ed", 400), (b"chunked\xa0", 400), (b"\x0bchunked", 400)),
        )
    ],
    # Expect
    ("other expectation", head(b"Expect: 200-ok"), 417),
    ("two expectations", head(b"Expect: 100-continue, x"), 417),
    ("repeated expectation", head(b"Expect: 100-continue", b"Expect: 100-continue"), 417),
]


@pytest.mark.parametrize(("raw", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(raw: bytes, status: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        scan(raw, LIMITS)
    assert caught.value.status == status
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()


ACCEPTED: list[tuple[str, bytes]] = [
    ("plain", head()),
    ("one empty line first", b"\r\n" + head()),
    ("no headers in HTTP/1.0", b"GET /score HTTP/1.0\r\n\r\n"),
    ("empty Host", head(host=b"Host:\r\n")),
    ("Host with a port", head(host=b"Host: a.example:5001\r\n")),
    ("IPv6 Host", head(host=b"host: [::1]:5001\r\n")),
    ("empty value", head(b"X:")),
    ("high bytes in a value", head(b"X: \xe9\xff")),
    ("a hundred headers", head(*[b"X: a"] * 99)),
    ("the longest header", head(b"X: " + b"a" * 8187)),
    ("the longest request line", head(first=b"GET /" + b"a" * 4080 + b" HTTP/1.1")),
    ("brackets and quotes in a query", head(first=b'GET /score?a=[1,{"b":2}]|^`\\ HTTP/1.1')),
    ("the largest body", head(b"Content-Length: %d" % LIMITS.body_bytes)),
    ("leading zeros", head(b"Content-Length: 005")),
    ("coding in capitals", head(b"Transfer-Encoding: CHUNKED")),
    ("underscored framing is dropped", head(b"Content_Length: 7", b"Transfer_Encoding: chunked")),
    ("upgrade is ignored", head(b"Connection: upgrade", b"Upgrade: h2c")),
    ("custom verb", head(first=b"PURGE /score HTTP/1.1")),
]


@pytest.mark.parametrize("raw", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_accepted(raw: bytes) -> None:
    scan(raw, LIMITS)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/score", "/score", b""),
        (b"/score?", "/score", b""),
        (b"/score?x=%20&y", "/score", b"x=%20&y"),
        (b"/score?a?b", "/score", b"a?b"),
        (b"//score", "/score", b""),
        (b"///score", "/score", b""),
        (b"/%73core", "/score", b""),
        (b"/%2Fscore", "/score", b""),
        (b"/%2573core", "/%73core", b""),
        (b"/score/", "/score/", b""),
        (b"/Score", "/Score", b""),
        (b"/%zz", "/%zz", b""),
        (b"/%c3%b6", "/ö", b""),
        (b"/%ff", "/\ufffd", b""),
        (b"/score%3Fx", "/score?x", b""),
        (b"http://a/score?x", "/score", b"x"),
        (b"HTTPS://a:1/%73core", "/score", b""),
        (b"http://a", "/", b""),
        (b"http://a?x=/", "/", b"x=/"),
        (b"http://[::1]:80//score", "/score", b""),
    ],
)
def test_target(target: bytes, path: str, query: bytes) -> None:
    got = scan(head(first=b"GET " + target + b" HTTP/1.1"), LIMITS)
    assert (got.path, got.query, got.target) == (path, query, target)
    assert got.is_score == (path == "/score")


def test_options_of_the_whole_server() -> None:
    assert scan(head(first=b"OPTIONS * HTTP/1.1"), LIMITS).path == "*"


def test_headers_as_read() -> None:
    got = scan(head(b"X-A:  b \t", b"X-B: c", b"x-a:d", b"X_C: e", b"X-D: f_g"), LIMITS)
    assert got.headers == [(b"host", b"a"), (b"x-a", b"b"), (b"x-b", b"c"), (b"x-a", b"d"), (b"x-d", b"f_g")]
    assert got.get(b"x-a") == b"b,d"
    assert got.get(b"x-b") == b"c"
    assert got.get(b"x_c") is None
    assert (got.method, got.version) == ("POST", b"HTTP/1.1")


@pytest.mark.parametrize(
    ("version", "connection", "keep"),
    [
        (b"1.1", None, True),
        (b"1.1", b"close", False),
        (b"1.1", b"Keep-Alive, CLOSE", False),
        (b"1.1", b"closed", True),
        (b"1.1", b"keep-alive", True),
        (b"1.0", None, False),
        (b"1.0", b"keep-alive", True),
        (b"1.0", b"Keep-Alive ,x", True),
        (b"1.0", b"keep-alive, close", False),
    ],
)
def test_keep_alive(version: bytes, connection: bytes | None, keep: bool) -> None:
    lines = [] if connection is None else [b"Connection: " + connection]
    assert scan(head(*lines, first=b"GET / HTTP/" + version), LIMITS).keep_alive is keep


def test_framing_as_read() -> None:
    got = scan(head(b"Content-Length: 12", b"Expect: 100-Continue"), LIMITS)
    assert (got.content_length, got.chunked, got.expect_continue) == (12, False, True)
    got = scan(head(b"Transfer-Encoding: chunked"), LIMITS)
    assert (got.content_length, got.chunked, got.expect_continue) == (0, True, False)
    got = scan(head(), LIMITS)
    assert (got.content_length, got.chunked) == (0, False)
    got = scan(head(b"Expect: 100-continue", first=b"POST / HTTP/1.0"), LIMITS)
    assert not got.expect_continue  # an HTTP/1.0 caller would take the interim answer for the final one


def test_zero_is_no_limit() -> None:
    limits = Limits(request_line=0, fields=0, field_size=0, head_bytes=0, body_bytes=0)
    assert limits.body_bytes == NO_LIMIT
    many = head(*[b"X: " + b"a" * 9000] * 200, b"Content-Length: 999999999999999999")
    assert scan(many, limits).content_length == 999999999999999999
    scan(head(first=b"GET /" + b"a" * 9000 + b" HTTP/1.1"), limits)


def test_identity_is_kept_only_when_the_request_names_it() -> None:
    named = scan(head(b"x-request-id: A"), LIMITS)
    assert named.identity() is named.identity()
    for lines in ([], [b"x-ms-request-id: B"], [b"TraceId: t"]):
        unnamed = scan(head(*lines), LIMITS)
        assert unnamed.identity().request_id != unnamed.identity().request_id


def test_from_scope() -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "http_version": "1.1",
        "path": "/model//score",
        "raw_path": b"/model//%73core",
        "root_path": "/model",
        "query_string": b"x=1",
        "headers": [(b"host", b"a"), (b"x-a", b"1"), (b"x-a", b"2"), (b"x_b", b"3")],
    }
    got = from_scope(scope)
    assert (got.method, got.path, got.query, got.target) == ("POST", "/score", b"x=1", b"/model//%73core?x=1")
    assert (got.get(b"x-a"), got.get(b"x_b"), got.version) == (b"1,2", None, b"HTTP/1.1")
    assert got.is_score


def test_a_mounted_path_is_cut_only_at_a_slash() -> None:
    for path, expected in (("/model", "/"), ("/model/score", "/score"), ("/models/score", "/models/score")):
        scope = {"method": "GET", "path": path, "root_path": "/model", "headers": []}
        assert from_scope(scope).path == expected


def test_heads_are_read_once_unless_they_name_ids() -> None:
    known = KnownHeads(Limits())
    plain = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    assert known.read(plain % 5) is known.read(plain % 5)
    assert known.read(plain % 5) is not known.read(plain % 6)
    own = b"POST /score HTTP/1.1\r\nHost: a\r\nx-request-id: A\r\n\r\n"
    assert known.read(own) is not known.read(own)
    with pytest.raises(RequestRefused):
        known.read(b"POST /score HTTP/1.1\r\n\r\n")
    for length in range(5000):
        known.read(plain % length)
    assert len(known._kept) <= KnownHeads.MOST
