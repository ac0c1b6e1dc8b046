"""Answer heads as bytes and as a list."""

from __future__ import annotations

import pytest

from inference_server.errors import RequestRefused, SettingsError
from inference_server.http import refusals
from inference_server.http.answers import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    WITH_LENGTH,
    AnswerHeads,
    bodyless,
    chunk,
    framing,
)
from inference_server.messages import Answer

IDS = b"x-request-id: A\r\nx-ms-request-id: A\r\n"
NOW = 1700000000.9
HEADS = AnswerHeads("azmlinfsrv/1.0", clock=lambda: NOW)
PLAIN = Answer(200, b'{"a": 1}', exec_ms=1.23456)


class Stream:
    """Stands for any streamed body; only its being there matters to the head."""

    def attach(self, on_chunk: object, on_end: object) -> None: ...

    def grant(self, count: int) -> None: ...

    def close(self) -> None: ...


def streamed(status: int = 200) -> Answer:
    return Answer(status, b"", b"text/html; charset=utf-8", exec_ms=2.0, stream=Stream())


def lines(raw: bytes) -> list[str]:
    text = raw.decode("latin-1")
    assert text.endswith("\r\n\r\n")
    return text[:-4].split("\r\n")


def test_the_usual_answer() -> None:
    assert lines(HEADS.render(PLAIN, IDS)) == [
        "HTTP/1.1 200 OK",
        "Server: azmlinfsrv",
        "Date: Tue, 14 Nov 2023 22:13:20 GMT",
        "x-ms-server-version: azmlinfsrv/1.0",
        "Content-Type: application/json",
        "x-ms-run-function-failed: False",
        "Content-Length: 8",
        "x-ms-run-fn-exec-ms: 1.235",
        "x-request-id: A",
        "x-ms-request-id: A",
    ]


def test_cors_and_the_scripts_own_headers_follow() -> None:
    answer = Answer(200, b"", exec_ms=0.0, headers=b"X-A: b\r\nx-ms-server-version: mine\r\n")
    got = lines(HEADS.render(answer, IDS, b"Vary: Origin\r\n"))
    assert got[-3:] == ["Vary: Origin", "X-A: b", "x-ms-server-version: mine"]


def test_no_version_no_type_no_failed() -> None:
    answer = Answer(200, b"ab", b"", failed=None)
    assert lines(AnswerHeads(clock=lambda: NOW).render(answer, b"")) == [
        "HTTP/1.1 200 OK",
        "Server: azmlinfsrv",
        "Date: Tue, 14 Nov 2023 22:13:20 GMT",
        "Content-Length: 2",
    ]


@pytest.mark.parametrize(
    ("version", "keep_alive", "first", "connection"),
    [
        (b"HTTP/1.1", True, "HTTP/1.1 200 OK", None),
        (b"HTTP/1.1", False, "HTTP/1.1 200 OK", "Connection: close"),
        (b"HTTP/1.0", True, "HTTP/1.0 200 OK", "Connection: keep-alive"),
        (b"HTTP/1.0", False, "HTTP/1.0 200 OK", "Connection: close"),
    ],
)
def test_connection(version: bytes, keep_alive: bool, first: str, connection: str | None) -> None:
    got = lines(HEADS.render(PLAIN, IDS, b"", version, keep_alive))
    assert got[0] == first
    assert [line for line in got if line.startswith("Connection")] == ([connection] if connection else [])


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (201, "Created"),
        (404, "Not Found"),
        (418, "I'm a Teapot"),
        (500, "Internal Server Error"),
        (600, "UNKNOWN"),
    ],
)
def test_reasons(status: int, phrase: str) -> None:
    assert lines(HEADS.render(Answer(status, b""), b""))[0] == f"HTTP/1.1 {status} {phrase}"


@pytest.mark.parametrize(("failed", "text"), [(True, "True"), (False, "False"), (None, None)])
def test_failed(failed: bool | None, text: str | None) -> None:
    got = [line for line in lines(HEADS.render(Answer(500, b"", failed=failed), b"")) if "failed" in line]
    assert got == ([f"x-ms-run-function-failed: {text}"] if text else [])


def test_streams() -> None:
    modern = lines(HEADS.render(streamed(), IDS))
    assert "Transfer-Encoding: chunked" in modern
    old = lines(HEADS.render(streamed(), IDS, b"", b"HTTP/1.0", False))
    assert "Connection: close" in old
    assert not any("Transfer-Encoding" in line for line in old)
    assert not any("Content-Length" in line for line in modern + old)
    assert "x-ms-run-fn-exec-ms: 2.000" in modern


def test_204_and_304() -> None:
    headers = b"Content-Encoding: gzip\r\nLast-Modified: x\r\nETag: y\r\n"
    for status in (204, 304):
        assert bodyless(status)
        got = lines(HEADS.render(Answer(status, b"body", headers=headers), b""))
        assert not any(line.startswith("Content-Length") for line in got)
        assert "ETag: y" in got
        assert ("Content-Encoding: gzip" in got) == (status == 204)
        assert ("Content-Type: application/json" in got) == (status == 204)
        assert not any("Transfer" in line for line in lines(HEADS.render(streamed(status), b"")))


@pytest.mark.parametrize(
    ("answer", "method", "version", "expected"),
    [
        (PLAIN, "POST", b"HTTP/1.1", WITH_LENGTH),
        (PLAIN, "HEAD", b"HTTP/1.1", NO_BODY),
        (Answer(204, b""), "GET", b"HTTP/1.1", NO_BODY),
        (streamed(), "POST", b"HTTP/1.1", CHUNKED),
        (streamed(), "POST", b"HTTP/1.0", UNTIL_CLOSE),
        (streamed(), "HEAD", b"HTTP/1.1", NO_BODY),
        (streamed(304), "GET", b"HTTP/1.1", NO_BODY),
    ],
)
def test_framing(answer: Answer, method: str, version: bytes, expected: int) -> None:
    assert framing(answer, method, version) == expected


def test_chunk() -> None:
    assert chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"


def test_a_script_cannot_set_what_is_the_servers() -> None:
    mine = b"X-A: 1\r\ncontent-length: 99\r\nTransfer-Encoding: chunked\r\nConnection: upgrade\r\nX-REQUEST-ID: mine\r\n"
    mine += b"Date: never\r\nServer: mine\r\nX-Date: kept\r\n"
    got = lines(HEADS.render(Answer(200, b"ab", headers=mine), IDS))
    assert [
        line for line in got if line.lower().startswith(("content-length", "connection", "x-request-id"))
    ] == [
        "Content-Length: 2",
        "x-request-id: A",
    ]
    assert not any("Transfer" in line or "mine" in line or "never" in line for line in got)
    assert got[-2:] == ["X-A: 1", "X-Date: kept"]


def test_the_date_turns_with_the_second() -> None:
    now = [NOW]
    heads = AnswerHeads(clock=lambda: now[0])
    first = heads.render(PLAIN, b"")
    assert heads.render(PLAIN, b"") == first
    now[0] += 1
    assert b"22:13:21 GMT" in heads.render(PLAIN, b"")


def test_many_content_types_do_not_pile_up() -> None:
    heads = AnswerHeads(clock=lambda: NOW)
    for number in range(1000):
        content_type = b"text/x-%d" % number
        assert b"Content-Type: " + content_type in heads.render(Answer(200, b"", content_type), b"")
    assert len(heads._prefixes) <= 256


def test_the_list_is_the_same_without_what_an_asgi_server_adds() -> None:
    answer = Answer(200, b"ab", exec_ms=1.0, headers=b"X-A: b: c\r\n")
    assert HEADS.header_list(answer, IDS, b"Vary: Origin\r\n") == [
        (b"x-ms-server-version", b"azmlinfsrv/1.0"),
        (b"content-type", b"application/json"),
        (b"x-ms-run-function-failed", b"False"),
        (b"content-length", b"2"),
        (b"x-ms-run-fn-exec-ms", b"1.000"),
        (b"x-request-id", b"A"),
        (b"x-ms-request-id", b"A"),
        (b"vary", b"Origin"),
        (b"x-a", b"b: c"),
    ]
    names = [name for name, _ in HEADS.header_list(streamed(), b"")]
    assert b"transfer-encoding" not in names
    assert b"content-length" not in names


def test_an_applications_answer_on_a_connection() -> None:
    pairs = HEADS.header_list(PLAIN, IDS)
    for version, keep_alive in ((b"HTTP/1.1", True), (b"HTTP/1.1", False), (b"HTTP/1.0", True)):
        got = lines(HEADS.render_pairs(200, pairs, version, keep_alive))
        expected = lines(HEADS.render(PLAIN, IDS, b"", version, keep_alive))
        assert [line.lower() for line in got] == [line.lower() for line in expected]


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (RequestRefused(413, "too much"), 413, b'{"message": "too much"}'),
        (SettingsError("secret"), 500, b'{"message": "An unexpected internal error occurred. '),
        (ValueError("secret"), 500, b'{"message": "An unexpected internal error occurred. '),
    ],
)
def test_errors(error: Exception, status: int, body: bytes) -> None:
    answer = refusals.answer_to(error)
    assert answer.status == status
    assert answer.body.startswith(body)
    assert b"secret" not in answer.body
    assert answer.failed is False


def test_method_not_allowed_names_the_methods() -> None:
    assert refusals.method_not_allowed("GET, POST").headers == b"Allow: GET, POST\r\n"
    assert len(refusals.method_not_allowed("GET", refusals.HEAD_NOT_ALLOWED).body) == 33
