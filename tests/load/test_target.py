"""Addresses, as people write them, and what is sent there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from inference_server.load.bodies import NONE, Body
from inference_server.load.requests import InTurn, header
from inference_server.load.target import BadTarget, reached, target


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("127.0.0.1:5001", "127.0.0.1:5001", "/score"),
        ("http://127.0.0.1", "127.0.0.1", "/score"),
        ("http://127.0.0.1:80/", "127.0.0.1:80", "/"),
        ("http://localhost:81/v2/models/m/infer?x=1&y=a b", "localhost:81", "/v2/models/m/infer?x=1&y=a%20b"),
        ("http://[::1]:82/ü#part", "[::1]:82", "/%C3%BC"),
        ("http://0.0.0.0:83", "0.0.0.0:83", "/score"),
    ],
)
def test_what_an_address_names(url: str, host: str, path: str) -> None:
    where = target(url)
    assert (where.host, where.path, where.tls) == (host, path, None)
    assert where.local


@pytest.mark.parametrize("url", ["http://192.0.2.1/score", "http://[2001:db8::1]:5001"])
def test_other_machines_are_told_apart(url: str) -> None:
    assert not target(url).local


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://127.0.0.1", "is no address such as"),
        ("http://", "is no address such as"),
        ("http://127.0.0.1:port", "is no address such as"),
        ("http://127.0.0.1:99999", "is no address such as"),
        ("http://me:secret@127.0.0.1/", "does not belong into the address of 127.0.0.1"),
        ("http://no-such-host.invalid", "no address is known for the host 'no-such-host.invalid'"),
    ],
)
def test_what_is_no_address_is_said_without_what_may_be_secret(url: str, said: str) -> None:
    with pytest.raises(BadTarget) as caught:
        target(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for name in ("bad.pem", "missing.pem"):
        with pytest.raises(BadTarget, match="holds no certificates"):
            target("https://127.0.0.1", cacert=str(tmp_path / name))


def test_of_several_addresses_one_that_answers_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        where = reached(target(f"http://localhost:{port}"))
        assert [address.name[0] for address in where.addresses] == ["127.0.0.1"]
    with pytest.raises(
        BadTarget, match=r"no server answers at http://localhost:\d+/score \(Connection refused\)"
    ):
        reached(target(f"http://localhost:{port}"))


def test_requests_go_in_turn_and_say_what_they_are() -> None:
    where = target("http://127.0.0.1:5001/score")
    source = InTurn(where, [Body("a", "application/json", b"[1]"), Body("b", "text/csv", b"1,2\n")])
    found = [next(source) for _ in range(3)]
    assert [request.place for request in found] == [0, 1, 0]
    head, _, body = found[1].content.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /score HTTP/1.1\r\nHost: 127.0.0.1:5001\r\nUser-Agent: azmlinfsrv-bench/")
    assert head.endswith(b"Content-Type: text/csv\r\nContent-Length: 4")
    assert body == b"1,2\n"


def test_headers_of_the_caller_come_instead_of_ours() -> None:
    where = target("http://127.0.0.1")
    headers = [header("host: example"), header("Content-Type:application/x"), header("X: 1"), header("x: 2")]
    content = next(InTurn(where, [Body("a", "text/csv", b"1")], "PUT", headers)).content
    assert content.startswith(b"PUT /score HTTP/1.1\r\nUser-Agent: ")
    assert (
        b"\r\nhost: example\r\nContent-Type: application/x\r\nX: 1\r\nx: 2\r\nContent-Length: 1\r\n\r\n1"
        in content
    )
    assert content.lower().count(b"host:") == content.lower().count(b"content-type:") == 1
    bare = next(InTurn(where, [NONE], "GET")).content
    assert b"Content" not in bare


@pytest.mark.parametrize("text", ["no colon", "a b: c", ": c", "a: b\r\nc: d", "a: ☃", "Content-Length: 3"])
def test_what_is_no_header(text: str) -> None:
    with pytest.raises(ValueError, match=r"header|cannot be given"):
        header(text)


def test_some_ask_where_their_time_goes() -> None:
    source = InTurn(target("http://127.0.0.1"), [Body(str(n), "", b"x") for n in range(16)], timed=1 / 16)
    found = [next(source) for _ in range(16_000)]
    timed = [request for request in found if request.timed]
    assert all(request.timed for request in found[:200])
    assert 900 < len(timed) < 1500
    assert {request.place for request in timed} == set(range(16))
    assert all((b"\r\nServer-Timing: ?\r\n" in request.content) == request.timed for request in found)
