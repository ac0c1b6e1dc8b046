"""Files over HTTP, from a server that misbehaves as told."""

from __future__ import annotations

import base64
import hashlib
import random
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_server.storage.source import Changed, Cut, SourceError
from tests.storage.flaky_http import Change, FlakyHttp, Length, NoRange, Stall, Status
from tests.storage.flaky_http import Cut as Cutting
from tests.storage.sources.opened import contents, fetched, opened, refusal, text
from tests.tools import require_tool

CONTENT = random.Random(7).randbytes(3_000_000)
MD5, SHA256 = hashlib.md5(CONTENT).digest(), hashlib.sha256(CONTENT).digest()


@pytest.fixture
def other() -> Iterator[FlakyHttp]:
    with FlakyHttp() as server:
        yield server


def test_a_file_is_read_whole_and_in_parts(web: FlakyHttp) -> None:
    web.put("/models/a%20b.bin", CONTENT, etag='"1"')
    source = opened(web.url("/models/a%20b.bin?sig=pa55"))
    [entry] = source.entries()
    assert (entry.path, entry.size, entry.etag, source.ranged) == ("a b.bin", len(CONTENT), '"1"', True)
    assert b"".join(source.read(entry, 0, None)) == CONTENT
    pieces = list(source.read(entry, 1000, 2_500_000))
    assert b"".join(pieces) == CONTENT[1000:2_500_000]
    assert max(map(len, pieces)) <= 1024 * 1024
    assert [seen.range for seen in web.seen] == ["bytes=0-0", "", "bytes=1000-2499999"]
    assert {seen.path for seen in web.seen} == {"/models/a%20b.bin?sig=pa55"}


def test_servers_without_ranges_or_lengths_are_read(web: FlakyHttp) -> None:
    web.put("/whole", CONTENT, etag='"1"', ranges=False)
    web.put("/chunked", CONTENT, chunked=True, ranges=False)
    web.put("/endless", CONTENT, sized=False, ranges=False)
    web.put("/empty", b"", etag='"0"')
    source = opened(web.url("/whole"))
    [entry] = source.entries()
    assert (entry.size, source.ranged) == (len(CONTENT), False)
    assert b"".join(source.read(entry, 5, 10)) == CONTENT[5:10]  # what comes before is left out
    for path in ("/chunked", "/endless"):
        assert fetched(web.url(path)) == {path[1:]: CONTENT}
    assert fetched(web.url("/empty")) == {"empty": b""}


def test_a_range_that_is_ignored_once_is_read_all_the_same(web: FlakyHttp) -> None:
    web.put("/m.bin", CONTENT, etag='"1"', faults=[NoRange()])
    source = opened(web.url("/m.bin"))
    [entry] = source.entries()
    assert b"".join(source.read(entry, 2_000_000, 2_100_000)) == CONTENT[2_000_000:2_100_000]


def test_what_breaks_off_can_be_asked_again(web: FlakyHttp) -> None:
    page = web.put("/m.bin", CONTENT, etag='"1"', faults=[Cutting(100_000), Stall(100_000)])
    source = opened(web.url("/m.bin"))
    [entry] = source.entries()
    with pytest.raises(Cut, match="broke off after 100000 of 3000000 bytes"):
        list(source.read(entry, 0, entry.size))
    began = time.monotonic()
    with pytest.raises(Cut, match="has sent nothing for too long"):
        list(source.read(entry, 0, entry.size))
    assert time.monotonic() - began < 5
    page.chunked = True
    page.faults.append(Cutting(100_000))
    with pytest.raises(Cut, match="broke off"):
        list(source.read(entry, 0, entry.size))


def test_a_length_that_is_a_lie_never_passes_for_the_file(web: FlakyHttp) -> None:
    lies = [Length(len(CONTENT) + 10), Length(len(CONTENT) - 10)]
    web.put("/m.bin", CONTENT, etag='"1"', ranges=False, faults=lies)
    source = opened(web.url("/m.bin"))
    [entry] = source.entries()
    for _ in lies:
        with pytest.raises(Changed):
            list(source.read(entry, 0, entry.size))


@pytest.mark.parametrize("now", [Change(b"x" * 3_000_000, '"2"'), Change(b"short", '"1"')])
def test_a_file_that_changes_is_not_mixed(web: FlakyHttp, now: Change) -> None:
    web.put("/m.bin", CONTENT, etag='"1"', faults=[None, now])
    source = opened(web.url("/m.bin"))
    [entry] = source.entries()
    assert b"".join(source.read(entry, 0, 1000)) == CONTENT[:1000]
    with pytest.raises(Changed, match="was changed while it was read"):
        list(source.read(entry, 1000, 2000))


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (Status(404), SourceError, "is not there (404)"),
        (Status(401), SourceError, "may not be read (401)"),
        (Status(403), SourceError, "may not be read (403)"),
        (Status(418), SourceError, "answers 418"),
        (Status(429, retry_after=7), Cut, "answers 429 for now"),
        (Status(503), Cut, "answers 503 for now"),
    ],
)
def test_statuses(web: FlakyHttp, status: Status, kind: type[SourceError], says: str) -> None:
    web.put("/m.bin", CONTENT, look_faults=[status])
    error = refusal(web.url("/m.bin?sig=pa55"))
    assert type(error) is kind
    assert says in str(error)
    assert web.url("/m.bin") in str(error)
    if isinstance(error, Cut):
        assert error.retry_after == status.retry_after


def test_name_and_password_go_to_their_host_alone(web: FlakyHttp, other: FlakyHttp, tmp_path: Path) -> None:
    basic = f"Basic {base64.b64encode(b'me:pa:55 ').decode()}"
    web.put("/m.bin", CONTENT, authorization=basic)
    web.put("/moved", redirect="/m.bin", redirect_code=308)
    web.put("/elsewhere", redirect=other.url("/m.bin?sig=pa55"), redirect_code=307)
    other.put("/m.bin", CONTENT)
    for path in ("/m.bin", "/moved", "/elsewhere"):
        assert list(fetched(web.url(path, "me:pa%3A55%20")).values()) == [CONTENT]
    assert {seen.headers.get("authorization") for seen in web.seen} == {basic}
    assert not any("authorization" in seen.headers for seen in other.seen)
    assert other.seen[-1].headers["accept-encoding"] == "identity"

    web.put("/of-netrc", CONTENT, authorization=f"Basic {base64.b64encode(b'me:pa55').decode()}")
    netrc = text(tmp_path / "netrc", "machine 127.0.0.1 login me password pa55")
    assert fetched(web.url("/of-netrc"), {"NETRC": netrc}) == {"of-netrc": CONTENT}
    assert "~/.netrc" in str(refusal(web.url("/m.bin")))


@pytest.mark.parametrize(
    ("headers", "md5", "sha256"),
    [
        ({"X-Checksum-Md5": MD5.hex(), "X-Checksum-Sha256": SHA256.hex()}, MD5, SHA256),
        ({"Repr-Digest": f"sha-256=:{base64.b64encode(SHA256).decode()}:"}, b"", SHA256),
        (
            {
                "x-goog-hash": f"crc32c=AAAAAA==,md5={base64.b64encode(MD5).decode()}",
                "x-goog-stored-content-encoding": "identity",
            },
            MD5,
            b"",
        ),
        (
            {
                "x-goog-hash": f"md5={base64.b64encode(MD5).decode()}",
                "x-goog-stored-content-encoding": "gzip",
            },
            b"",
            b"",
        ),
        ({"Content-MD5": base64.b64encode(MD5).decode()}, b"", b""),  # of the first byte alone
        ({"X-Checksum-Md5": "nonsense", "Digest": "sha-256=nonsense"}, b"", b""),
    ],
)
def test_checksums_that_servers_tell(
    web: FlakyHttp, headers: dict[str, str], md5: bytes, sha256: bytes
) -> None:
    web.put("/m.bin", CONTENT, headers=headers)
    [entry] = opened(web.url("/m.bin")).entries()
    assert (entry.md5, entry.sha256) == (md5, sha256)


def test_a_checksum_in_the_address_is_what_the_file_must_be(web: FlakyHttp) -> None:
    web.put("/m.bin", CONTENT, headers={"X-Checksum-Sha256": "00" * 32})
    source = opened(f"{web.url('/m.bin')}#sha256={SHA256.hex()}")
    [entry] = source.entries()
    assert entry.sha256 == SHA256
    assert contents(source) == {"m.bin": CONTENT}


@pytest.mark.parametrize(
    ("path", "disposition", "name"),
    [
        ("/get?id=3", 'attachment; filename="../../up/model.onnx"', "model.onnx"),
        ("/get", "attachment; filename*=UTF-8''m%C3%B6del.bin", "mödel.bin"),
        ("/a.bin", 'attachment; filename="b.bin"', "a.bin"),
        ("/get", 'attachment; filename=".."', "get"),
        ("/", "", "download"),
    ],
)
def test_what_the_file_is_called(web: FlakyHttp, path: str, disposition: str, name: str) -> None:
    web.put(
        path.partition("?")[0],
        b"content",
        headers={"Content-Disposition": disposition} if disposition else {},
    )
    source = opened(web.url(path))
    assert [entry.path for entry in source.entries()] == [name] == [source.name]


def test_what_is_not_the_file_is_refused(web: FlakyHttp) -> None:
    web.put("/m.bin", b"<html>sign in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    web.put("/zipped.bin", b"xx", headers={"Content-Encoding": "gzip"})
    web.put("/m.tar.gz", b"xx", headers={"Content-Encoding": "x-gzip"})  # so some servers say of such files
    web.put("/round", redirect="/round")
    assert "is a web page, not a file" in str(refusal(web.url("/m.bin")))
    assert "is sent as gzip" in str(refusal(web.url("/zipped.bin")))
    assert fetched(web.url("/m.tar.gz")) == {"m.tar.gz": b"xx"}
    assert "answers 302" in str(refusal(web.url("/round")))


@pytest.mark.system
def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: FlakyHttp) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    authority = make_certificate(key, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with FlakyHttp(context) as secure:
        secure.put("/m.bin", CONTENT, etag='"1"')
        secure.put("/down", redirect=web.url("/m.bin"))
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        assert "certificate is not trusted" in str(refusal(secure.url("/m.bin")))
        monkeypatch.setenv("SSL_CERT_FILE", authority)
        assert fetched(secure.url("/m.bin")) == {"m.bin": CONTENT}
        assert "not followed, it is not secure" in str(refusal(secure.url("/down")))


def make_certificate(key: Path, certificate: Path) -> str:
    """A certificate of 127.0.0.1; returns the path of the one of its authority."""
    openssl = [require_tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    authority, its_key = key.with_name("authority.pem"), key.with_name("authority-key.pem")
    own = ["-subj", "/CN=authority", "-keyout", str(its_key), "-out", str(authority)]
    subprocess.run([*openssl, *own], check=True, capture_output=True, timeout=60)
    leaf = [
        *(
            "-subj",
            "/CN=tests",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ),
        *("-CA", str(authority), "-CAkey", str(its_key), "-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run([*openssl, *leaf], check=True, capture_output=True, timeout=60)
    return str(authority)
