"""HTTPS by the server itself, with the certificate named by flags or by gunicorn's configuration."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server
from tests.end_to_end.talk import post
from tests.tools import require_tool

pytestmark = pytest.mark.system

SCRIPT = """
    def init():
        pass

    def run(data):
        return data if data != "stream" else iter(["x" * 1000] * 1000)
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    openssl = require_tool("openssl")
    folder = tmp_path_factory.mktemp("certificate")
    certfile, keyfile = folder / "cert.pem", folder / "key.pem"
    how = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command = [openssl, *how.split(), "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", keyfile, "-out", certfile], check=True, capture_output=True)
    return certfile, keyfile


def client(certificate: tuple[Path, Path], own: bool = False) -> ssl.SSLContext:
    """Trusts the certificate, and shows it as its own when asked to."""
    context = ssl.create_default_context(cafile=certificate[0])
    if own:
        context.load_cert_chain(*certificate)
    return context


def started(server: Server) -> Server:
    server.wait_log("ready for serving traffic", 30)
    return server


def test_https_by_flags(serve: Serve, certificate: tuple[Path, Path]) -> None:
    flags = ("--certfile", str(certificate[0]), "--keyfile", str(certificate[1]))
    server = started(serve(SCRIPT, *flags, "--max_body_bytes", "9000000", wait=False))
    connection = http.client.HTTPSConnection(
        "localhost", server.port, timeout=20, context=client(certificate)
    )
    for body in (b"small", b"x" * 8_000_000, b"stream"):
        connection.request("POST", "/score", body)
        got = connection.getresponse().read()
        assert len(got) == (1_000_000 if body == b"stream" else len(body) + 2)
    connection.request("GET", "/livez")
    assert connection.getresponse().read()
    connection.request("POST", "/score", b"x" * 9_000_001)
    refused = connection.getresponse()
    assert (refused.status, refused.headers["connection"]) == (413, "close")
    connection.close()
    cut_short_and_not_tls(server, certificate)
    log = server.log()
    assert "Listening at: https://" in log
    assert "Traceback" not in log
    connection.request("POST", "/score", b"still there")
    assert connection.getresponse().status == 200
    connection.close()


def cut_short_and_not_tls(server: Server, certificate: tuple[Path, Path]) -> None:
    """Clients that leave in the middle of a body or of the handshake, or speak no TLS at all."""
    for data in (post(b"12345")[:-2], b"POST /sco"):
        with (
            socket.create_connection(("localhost", server.port), 10) as plain,
            client(certificate).wrap_socket(plain, server_hostname="localhost") as talk,
        ):
            talk.sendall(data)
    with socket.create_connection(("localhost", server.port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)
    with socket.create_connection(("localhost", server.port), 10) as plain:
        plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    with socket.create_connection(("localhost", server.port), 10):
        pass


def test_https_by_the_configuration_of_gunicorn(serve: Serve, certificate: tuple[Path, Path]) -> None:
    certfile, keyfile = certificate
    configuration = f"""
        certfile = {str(certfile)!r}
        keyfile = {str(keyfile)!r}
        ca_certs = {str(certfile)!r}
        cert_reqs = 2
        ciphers = "ECDHE+AESGCM"
    """
    server = started(serve(SCRIPT, wait=False, files={"gunicorn.conf.py": configuration}))
    connection = http.client.HTTPSConnection(
        "localhost", server.port, timeout=20, context=client(certificate, own=True)
    )
    connection.request("POST", "/score", b"1")
    assert connection.getresponse().read() == b'"1"'
    connection.close()
    nobody = http.client.HTTPSConnection("localhost", server.port, timeout=20, context=client(certificate))
    with contextlib.suppress(OSError):  # TLS 1.3 tells of the refusal only when the client reads
        nobody.request("POST", "/score", b"1")
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        nobody.getresponse()
    assert "have no effect" not in server.log()
    assert "Traceback" not in server.log()
