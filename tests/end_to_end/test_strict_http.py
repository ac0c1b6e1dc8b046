"""What is not plainly one HTTP request is refused with a close, and no script ever runs for it."""

from __future__ import annotations

import gzip
import itertools
import subprocess
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, wait_for
from tests.end_to_end.talk import Talk, chunked, post
from tests.tools import require_tool

# Echoes, and notes each call in a file: what a refused request must not do.
SCRIPT = """
    def init():
        pass

    def run(data):
        with open("calls", "a") as calls:
            calls.write("x")
        return data
"""

TE = b"POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "


def headed(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST with these header lines instead of the usual ones."""
    return b"\r\n".join((b"POST /score HTTP/1.1", *lines)) + b"\r\n\r\n" + body


def in_chunks(body: bytes) -> bytes:
    return TE + b"chunked\r\n\r\n" + body


REFUSED = {
    # length
    "conflicting lengths": (400, headed(b"Host: a", b"Content-Length: 1", b"Content-Length: 2", body=b"12")),
    "repeated length": (400, headed(b"Host: a", b"Content-Length: 1", b"Content-Length: 1", body=b"1")),
    "list of lengths": (400, headed(b"Host: a", b"Content-Length: 1, 1", body=b"1")),
    "negative length": (400, headed(b"Host: a", b"Content-Length: -1")),
    "signed length": (400, headed(b"Host: a", b"Content-Length: +1", body=b"1")),
    "length in words": (400, headed(b"Host: a", b"Content-Length: one", body=b"1")),
    "hexadecimal length": (400, headed(b"Host: a", b"Content-Length: 0x1", body=b"1")),
    "length with an underscore": (400, headed(b"Host: a", b"Content-Length: 1_0", body=b"1")),
    "empty length": (400, headed(b"Host: a", b"Content-Length:")),
    "length and chunked": (
        400,
        headed(b"Host: a", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    "huge length": (400, headed(b"Host: a", b"Content-Length: " + b"9" * 30)),
    "body over the limit": (413, headed(b"Host: a", b"Content-Length: 600000000")),
    # coding
    "gzip, chunked": (501, TE + b"gzip, chunked\r\n\r\n0\r\n\r\n"),
    "gzip": (501, TE + b"gzip\r\n\r\n"),
    "identity": (501, TE + b"identity\r\n\r\n"),
    "chunked, identity": (400, TE + b"chunked, identity\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, TE + b"chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked with a parameter": (501, TE + b"chunked;a=b\r\n\r\n0\r\n\r\n"),
    "vertical tab before chunked": (400, TE + b"\x0bchunked\r\n\r\n0\r\n\r\n"),
    "chunked in HTTP/1.0": (400, (TE + b"chunked\r\n\r\n0\r\n\r\n").replace(b"1.1", b"1.0")),
    # host
    "no host": (400, headed(b"Content-Length: 1", body=b"1")),
    "two hosts": (400, headed(b"Host: a", b"Host: a", b"Content-Length: 1", body=b"1")),
    "two hosts in one": (400, headed(b"Host: a, b", b"Content-Length: 1", body=b"1")),
    "no host in an address": (400, b"GET http:///score HTTP/1.1\r\nHost: a\x20b\r\n\r\n"),
    # bytes that no head may hold
    "bare LF": (400, b"POST /score HTTP/1.1\nHost: a\nContent-Length: 1\n\n1"),
    "one bare LF": (400, headed(b"Host: a\nX: b", b"Content-Length: 1", body=b"1")),
    "bare CR": (400, headed(b"Host: a", b"X: a\rb", b"Content-Length: 1", body=b"1")),
    "NUL": (400, headed(b"Host: a", b"X: a\x00b", b"Content-Length: 1", body=b"1")),
    "NUL in the line": (400, b"GET /score\x00 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "escape": (400, headed(b"Host: a", b"X: \x1b[31m", b"Content-Length: 1", body=b"1")),
    # header lines
    "folded header": (400, headed(b"Host: a", b"X: a", b" b", b"Content-Length: 1", body=b"1")),
    "space before the colon": (400, headed(b"Host: a", b"Content-Length : 1", body=b"1")),
    "space before the first name": (400, headed(b" Host: a", b"Content-Length: 1", body=b"1")),
    "no colon": (400, headed(b"Host: a", b"X", b"Content-Length: 1", body=b"1")),
    "no name": (400, headed(b"Host: a", b": x", b"Content-Length: 1", body=b"1")),
    "name in brackets": (400, headed(b"Host: a", b"(X): x", b"Content-Length: 1", body=b"1")),
    # request line
    "HTTP/0.9": (400, b"GET /score\r\n\r\n"),
    "HTTP/2.0": (505, b"GET /score HTTP/2.0\r\nHost: a\r\n\r\n"),
    "HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/1.2": (505, b"GET /score HTTP/1.2\r\nHost: a\r\n\r\n"),
    "HTTP/1": (400, b"GET /score HTTP/1\r\nHost: a\r\n\r\n"),
    "lower-case protocol": (400, b"GET /score http/1.1\r\nHost: a\r\n\r\n"),
    "lower-case method": (400, b"get /score HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two spaces": (400, b"GET  /score HTTP/1.1\r\nHost: a\r\n\r\n"),
    "space at the end": (400, b"GET /score HTTP/1.1 \r\nHost: a\r\n\r\n"),
    "tab in the line": (400, b"GET\t/score HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no path": (400, b"GET score HTTP/1.1\r\nHost: a\r\n\r\n"),
    "space in the path": (400, b"GET /sc ore HTTP/1.1\r\nHost: a\r\n\r\n"),
    "fragment": (400, b"GET /score#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "connect": (400, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two empty lines first": (400, b"\r\n\r\nGET /score HTTP/1.1\r\nHost: a\r\n\r\n"),
    "TLS on a plain port": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40),
    # limits
    "long request line": (414, b"GET /score?" + b"a" * 4094 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "endless request line": (414, b"GET /score?" + b"a" * 20000),
    "long header": (431, headed(b"Host: a", b"X: " + b"a" * 8190, b"Content-Length: 1", body=b"1")),
    "endless header": (431, headed(b"Host: a", b"X: " + b"a" * 20000).rstrip()),
    "many headers": (431, headed(b"Host: a", *[b"X: a"] * 100, b"Content-Length: 1", body=b"1")),
    "endless headers": (431, headed(b"Host: a", *[b"X: a"] * 3000).rstrip()),
    "much header": (431, headed(b"Host: a", *[b"X: " + b"a" * 8000] * 9, b"Content-Length: 1", body=b"1")),
    # chunks
    "chunk size in words": (400, in_chunks(b"x\r\nA\r\n0\r\n\r\n")),
    "chunk size with 0x": (400, in_chunks(b"0x1\r\nA\r\n0\r\n\r\n")),
    "negative chunk size": (400, in_chunks(b"-1\r\nA\r\n0\r\n\r\n")),
    "empty chunk size": (400, in_chunks(b"\r\nA\r\n0\r\n\r\n")),
    "huge chunk size": (400, in_chunks(b"1" + b"0" * 16 + b"1\r\nA\r\n0\r\n\r\n")),
    "space after the chunk size": (400, in_chunks(b"1 \r\nA\r\n0\r\n\r\n")),
    "chunk size with a bare LF": (400, in_chunks(b"1\nA\r\n0\r\n\r\n")),
    "chunk longer than its size": (400, in_chunks(b"1\r\nAB\r\n0\r\n\r\n")),
    "chunk ended by LF": (400, in_chunks(b"1\r\nA\n0\r\n\r\n")),
    "extension of 100 KB": (413, in_chunks(b"1;" + b"a" * 100_000 + b"\r\nA\r\n0\r\n\r\n")),
    "bare CR in an extension": (400, in_chunks(b"1;a\rb\r\nA\r\n0\r\n\r\n")),
    "chunk over the limit": (413, in_chunks(b"30000000\r\n")),
    "malformed trailer": (400, in_chunks(b"1\r\nA\r\n0\r\nbad trailer\r\n\r\n")),
    "endless trailer": (431, in_chunks(b"1\r\nA\r\n0\r\nX: " + b"a" * 20000)),
    # expectations
    "other expectation": (417, post(b"1", "Expect: 200-ok")),
    "two expectations": (417, post(b"1", "Expect: 100-continue, 200-ok")),
}

# Sent whole, then the client says that nothing more comes.
TRUNCATED = {
    "body cut short": post(b"1234567890")[:-7],
    "no body at all": post(b"1234567890")[:-10],
    "head cut short": b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Le",
    "chunk cut short": in_chunks(b"5\r\nAB"),
    "no last chunk": in_chunks(b"2\r\nAB\r\n"),
    "last chunk without its end": in_chunks(b"2\r\nAB\r\n0\r\n"),
}


def calls(server: Server) -> int:
    """How often the script has run."""
    path = server.folder / "calls"
    return len(path.read_text()) if path.exists() else 0


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module(SCRIPT)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_close_and_never_run(server: Server, name: str) -> None:
    status, data = REFUSED[name]
    before = calls(server)
    with Talk(server) as talk:
        talk.send(data)
        reply = talk.reply()
        assert reply.status == status, reply
        assert reply.headers["connection"] == "close"
        assert list(reply.json()) == ["message"]
        assert talk.closed()
    assert calls(server) == before


@pytest.mark.parametrize("name", TRUNCATED)
def test_a_truncated_request_is_never_run(server: Server, name: str) -> None:
    before = calls(server)
    with Talk(server) as talk:
        talk.send(TRUNCATED[name])
        talk.end()
        reply = talk.reply()
        assert (reply.status, reply.headers["connection"]) == (400, "close")
        assert talk.closed()
    assert calls(server) == before


@pytest.mark.parametrize("name", ["conflicting lengths", "bare LF", "chunk longer than its size", "no host"])
def test_a_good_request_before_a_bad_one_is_answered_and_nothing_after_it(server: Server, name: str) -> None:
    status, data = REFUSED[name]
    before = calls(server)
    with Talk(server) as talk:
        talk.send(post(b"first") + data + post(b"smuggled"))
        assert talk.reply().json() == "first"
        assert talk.reply().status == status
        assert talk.closed()
    assert calls(server) == before + 1


def test_a_refusal_is_one_line_of_the_log(server: Server) -> None:
    with Talk(server) as talk:
        talk.send(b"GET /score HTTP/1.1\r\n\r\n")
        talk.reply()
    server.wait_log("Refused a request from 127.0.0.1 with 400: an HTTP/1.1 request needs a Host header")
    assert "Traceback" not in server.log()


def test_a_client_that_sends_on_still_reads_why_it_was_refused(server: Server) -> None:
    """A close with unread bytes would reset the connection, and the client would see only that."""
    with Talk(server) as talk:
        talk.send(b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 600000000\r\n\r\n")
        for _ in range(50):
            talk.send(b"x" * 65536)
        assert talk.reply().status == 413
        assert talk.closed()


# -------------------------------------------------------------------- accepted


@pytest.mark.parametrize(
    "data",
    [
        post(b'{"a": 1}'),
        b"\r\n" + post(b'{"a": 1}'),
        chunked(b'{"a"', b": 1}"),
        in_chunks(
            b'8;name=value;other="quoted \\" text"\r\n{"a": 1}\r\n0;last\r\nX-Trailer: ignored\r\n\r\n'
        ),
        in_chunks(b'000008\r\n{"a": 1}\r\n000\r\n\r\n'),
        post(b'{"a": 1}', version="1.0"),
        post(b'{"a": 1}', target="//score"),
        post(b'{"a": 1}', target="/%73core"),
        post(b'{"a": 1}', target="http://test/score"),
        post(b'{"a": 1}', target="/score?ignored=1"),
        headed(b"hOST:test", b"content-length:\t8 ", b"X-Empty:", body=b'{"a": 1}'),
        headed(b"Host: test", b"Content-Length: 008", body=b'{"a": 1}'),
        headed(b"Host: [::1]:5001", b"X: caf\xe9", b"Content-Length: 8", body=b'{"a": 1}'),
        headed(b"Host: test", b"Content_Length: 3", b"Content-Length: 8", body=b'{"a": 1}'),
    ],
)
def test_accepted_whole_and_byte_by_byte(server: Server, data: bytes) -> None:
    with Talk(server) as talk:
        talk.send(data)
        assert talk.reply().json() == '{"a": 1}'
    with Talk(server) as talk:
        for value in data:
            talk.send(bytes([value]))
        assert talk.reply().json() == '{"a": 1}'


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    requests = []
    for number in range(200):
        body = b'{"n": %d}' % number
        requests.append(post(body) if number % 3 else chunked(body[:3], body[3:]))
        if number % 7 == 0:
            requests.append(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        if number % 11 == 0:
            requests.append(b"PUT /score HTTP/1.1\r\nHost: a\r\n\r\n")
    data = b"".join(requests)

    def check(talk: Talk) -> None:
        for number in range(200):
            assert talk.reply().json() == f'{{"n": {number}}}'
            if number % 7 == 0:
                assert talk.reply().json()["status"] == "ready"
            if number % 11 == 0:
                assert talk.reply().status == 405

    with Talk(server) as talk:  # all at once
        talk.send(data)
        check(talk)
    with Talk(server, timeout=30) as talk:  # in pieces that never fit
        sender = threading.Thread(
            target=lambda: [talk.send(data[at : at + 7]) for at in range(0, len(data), 7)]
        )
        sender.start()
        check(talk)
        sender.join()


def test_much_more_pipelined_than_is_read_ahead(server: Server) -> None:
    """The rest waits in the system's buffers while an answer is awaited."""
    body = b"x" * 10_000
    with Talk(server, timeout=30) as talk:
        sender = threading.Thread(target=lambda: [talk.send(post(body)) for _ in range(300)])
        sender.start()
        for _ in range(300):
            assert len(talk.reply().body) == 10_002
        sender.join()


@pytest.mark.parametrize(
    ("version", "header", "kept"),
    [
        ("1.1", "X: y", True),
        ("1.1", "Connection: close", False),
        ("1.1", "Connection: Keep-Alive, Close", False),
        ("1.0", "X: y", False),
        ("1.0", "Connection: keep-alive", True),
        ("1.0", "Connection: Keep-Alive, X", True),
    ],
)
@pytest.mark.parametrize("target", ["/score", "/livez"])
def test_connections_are_kept_as_asked(
    server: Server, target: str, version: str, header: str, kept: bool
) -> None:
    method = "POST" if target == "/score" else "GET"
    request = f"{method} {target} HTTP/{version}\r\nHost: a\r\n{header}\r\n\r\n".encode()
    with Talk(server) as talk:
        talk.send(request)
        connection = talk.reply().headers.get("connection")
        assert connection == (None if kept and version == "1.1" else "keep-alive" if kept else "close")
        if kept:
            talk.send(request)
            assert talk.reply().status == 200
        else:
            assert talk.closed()


def test_continue_is_sent_before_the_body_and_only_when_it_is_wanted(server: Server) -> None:
    with Talk(server) as talk:
        talk.send(post(b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 4"))
        assert talk.reply().status == 100
        talk.send(b"late")
        assert talk.reply().json() == "late"
        talk.send(post(b"here", "Expect: 100-Continue"))
        assert talk.reply().json() == "here"
        talk.send(in_chunks(b"").replace(b"Host: a", b"Host: a\r\nExpect: 100-continue"))
        assert talk.reply().status == 100
        talk.send(b"2\r\nok\r\n0\r\n\r\n")
        assert talk.reply().json() == "ok"
        talk.send(post(b"", "Expect: 100-continue"))
        assert talk.reply().json() == ""
    with Talk(server) as talk:
        talk.send(post(b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 600000000"))
        assert talk.reply().status == 413


@pytest.mark.system
def test_curl_expects_continue(server: Server) -> None:
    curl = require_tool("curl")
    url = f"http://127.0.0.1:{server.port}/score"
    command = [curl, "-sv", "-H", "Expect: 100-continue", "--data-binary", "@score.py", url]
    done = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=20)
    assert "< HTTP/1.1 100 Continue" in done.stderr
    assert "< HTTP/1.1 200 OK" in done.stderr
    assert "calls.write" in done.stdout


def test_large_bodies_and_answers(server: Server) -> None:
    body = b"x" * 8_000_000
    answer = b'"' + body + b'"'
    with Talk(server, timeout=30) as talk:
        talk.send(post(body))
        assert talk.reply().body == answer
        pieces = [body[at : at + 100_000] for at in range(0, len(body), 100_000)]
        talk.send(chunked(*pieces))
        assert talk.reply().body == answer


# -------------------------------------------------------------------- inflating


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
)
def test_compressed_bodies_are_inflated(server: Server, coding: str, pack: Callable[[bytes], bytes]) -> None:
    text = "café" * 1000
    reply = server.ask("POST", "/score", pack(text.encode()), {"Content-Encoding": coding})
    assert reply.json() == text


def test_compressed_bodies_that_cannot_be_inflated(server: Server) -> None:
    before = calls(server)
    packed = gzip.compress(b"12345" * 100)
    for coding, body in [("gzip", b"no"), ("gzip", packed[:-10]), ("deflate", b"\xff\xff")]:
        reply = server.ask("POST", "/score", body, {"Content-Encoding": coding})
        assert reply.status == 400, (coding, body)
    for coding in ("br", "gzip, gzip"):
        assert server.ask("POST", "/score", packed, {"Content-Encoding": coding}).status == 415
    assert calls(server) == before


# -------------------------------------------------------------------- limits by their flags


def test_limits_are_settings(serve: Serve) -> None:
    server = serve(
        SCRIPT,
        *("--limit_request_line", "100", "--limit_request_fields", "5", "--limit_request_field_size", "200"),
        *("--max_header_bytes", "500", "--max_body_bytes", "1000"),
        *("--max_chunks", "3", "--max_chunk_extension_bytes", "20", "--max_trailer_bytes", "40"),
    )
    refused = {
        "line": (414, b"GET /score?" + b"a" * 90 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        "fields": (431, headed(b"Host: a", *[b"X: a"] * 5)),
        "field": (431, headed(b"Host: a", b"X: " + b"a" * 198)),
        "head": (431, headed(b"Host: a", *[b"X: " + b"a" * 150] * 4)),
        "body": (413, post(b"x" * 1001)),
        "chunked body": (413, chunked(b"x" * 500, b"x" * 501)),
        "chunks": (413, chunked(b"1", b"2", b"3", b"4")),
        "extensions": (413, in_chunks(b"1;aaaaaaaaaa\r\nA\r\n1;bbbbbbbbbb\r\nB\r\n0\r\n\r\n")),
        "trailers": (431, in_chunks(b"1\r\nA\r\n0\r\nX: " + b"a" * 40 + b"\r\n\r\n")),
    }
    for name, (status, data) in refused.items():
        with Talk(server) as talk:
            talk.send(data)
            reply = talk.reply()
            assert reply.status == status, name
            assert talk.closed(), name
    assert calls(server) == 0
    for bomb in (gzip.compress(b"0" * 1001), gzip.compress(b"0" * 400_000)):
        assert len(bomb) <= 1000
        reply = server.ask("POST", "/score", bomb, {"Content-Encoding": "gzip"})
        assert reply.status == 413
    assert calls(server) == 0
    for data in [
        b"GET /score?" + b"a" * 76 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        headed(b"Host: a", *[b"X: a"] * 4),
        headed(b"Host: a", b"X: " + b"a" * 197),
        post(b"x" * 1000),
        chunked(b"x" * 500, b"x" * 499, b"x"),
        in_chunks(b"1\r\nA\r\n0\r\nX: " + b"a" * 30 + b"\r\n\r\n"),
    ]:
        with Talk(server) as talk:
            talk.send(data)
            assert talk.reply().status == 200, data


def test_connections_over_the_limit_get_503(serve: Serve) -> None:
    server = serve(SCRIPT, "--max_connections", "3")
    held = [Talk(server) for _ in range(3)]
    for talk in held:
        talk.send(post(b"1"))
        assert talk.reply().status == 200
    with Talk(server) as over:
        reply = over.reply()
        assert (reply.status, reply.headers["connection"]) == (503, "close")
        assert over.closed()
        held.pop().close()
        # the refused one is still open on its side, but takes nobody's place
        wait_for(lambda: server.answers("/livez"))
    for talk in held:
        talk.close()


# -------------------------------------------------------------------- time limits


def test_time_limits_are_settings(serve: Serve) -> None:
    """Half a second each; all on one server at the same time, none of them in the way of another's request."""
    server = serve(
        SCRIPT,
        "--header_timeout",
        "0.5",
        "--body_timeout",
        "0.5",
        "--keep_alive",
        "0.5",
        "--write_timeout",
        "1",
    )
    replies: dict[str, bytes] = {}
    took: dict[str, float] = {}

    def hold(name: str, first: bytes, trickle: bytes = b"", gap: float = 0.1) -> None:
        began = time.monotonic()
        with Talk(server) as talk:
            talk.send(first)
            talk.sock.settimeout(gap)
            data = b""
            rest = itertools.cycle(trickle)
            while time.monotonic() - began < 6:
                try:
                    part = talk.sock.recv(65536)
                except TimeoutError:
                    if trickle:
                        talk.send(bytes([next(rest)]))
                    continue
                except ConnectionResetError:
                    break
                if not part:
                    break
                data += part
            took[name] = time.monotonic() - began
            replies[name] = data

    cases = [
        ("nothing", b""),
        ("half a head", b"POST /score HTTP/1.1\r\nHost: a\r\n"),
        ("trickled head", b"POST /score HTTP/1.1\r\n", b"X: y\r\n"),
        ("half a body", post(b"12345")[:-2]),
        ("trickled body", b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n", b"12"),
        ("half a chunk", in_chunks(b"5\r\nab")),
        ("idle", post(b"1")),
        ("idle on another route", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("half a head after an answer", post(b"1") + b"POST /sc"),
    ]
    threads = [threading.Thread(target=hold, args=case) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [name for name, seconds in took.items() if not 0.3 < seconds < 4], took
    for name in ("half a head", "trickled head", "half a body", "trickled body", "half a chunk"):
        assert replies[name].startswith(b"HTTP/1.1 408 "), name
    assert replies["nothing"] == b""
    assert replies["idle"].count(b"HTTP/1.1 ") == 1
    assert replies["idle on another route"].count(b"HTTP/1.1 ") == 1
    assert b"HTTP/1.1 408 " in replies["half a head after an answer"]
    # a body that makes progress may take longer than its limit
    with Talk(server) as talk:
        data = post(b"1" * 700)
        talk.send(data[:-700])
        for at in range(len(data) - 700, len(data), 100):
            time.sleep(0.12)
            talk.send(data[at : at + 100])
        assert talk.reply().json() == "1" * 700
    slow_reader(server)


def slow_reader(server: Server) -> None:
    """One who takes nothing of a large answer is cut after the write timeout; meanwhile others are served."""
    with Talk(server, receive_buffer=4096) as talk:
        talk.send(post(b"x" * 8_000_000))
        server.wait_log("POST /score 200")
        assert server.ask("POST", "/score", b"other").json() == "other"
        wait_for(lambda: not established(server, talk), why="the slow reader is cut")


def established(server: Server, talk: Talk) -> bool:
    """Whether the server still holds its side of the connection, as the system's table has it."""
    port = talk.sock.getsockname()[1]
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    wanted = (f"{server.port:04X}", f"{port:04X}", "01")
    return any(
        (fields[1].split(":")[1], fields[2].split(":")[1], fields[3]) == wanted
        for fields in map(str.split, lines)
    )


# -------------------------------------------------------------------- nothing is split


def test_log_lines_carry_no_control_characters(serve: Serve) -> None:
    server = serve(SCRIPT)
    with Talk(server) as talk:
        agent = b"User-Agent: x\xc2\x85\xe2\x80\xa8y\x9b31m\ttab"
        talk.send(b'GET /score?q=%0a%1b"quoted"\\ HTTP/1.1\r\nHost: a\r\n' + agent + b"\r\n\r\n")
        assert talk.reply().status == 200
        talk.send(b"GET /swagger.json HTTP/1.1\r\nHost: a\r\nReferer: \xff\xfe\r\nX-Request-ID: \xe9\r\n\r\n")
        assert talk.reply().status == 200
    with Talk(server) as talk:
        talk.send(b"GET /\x1b[31m\r\nForged line HTTP/1.1\r\n\r\n")
        assert talk.reply().status == 400
    server.wait_log("with 400")
    server.wait_log('"GET /swagger.json HTTP/1.1" 200')
    raw = (server.folder / "server.log").read_bytes()
    assert not [byte for byte in raw if (byte < 32 and byte != 10) or byte > 126]
