"""A stub of Azure Key Vault's data plane and of the managed identity endpoints; the clients in the tests are Azure's own.

The vault: HTTPS, a 401 challenge, then `GET /secrets/NAME[/VERSION]` with a bearer token. The identity: plain HTTP, in
App Service's form (IDENTITY_ENDPOINT, IDENTITY_HEADER) and in that of virtual machines (IMDS, `Metadata: true`).
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

IDENTITY_HEADER = "header-of-the-identity"
KNOWN_CLIENT = "11111111-2222-3333-4444-555555555555"


class Azure:
    """What both stubs know: secrets by name and version, and what they were asked."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], str] = {}  # version "": the newest
        self.forbidden: set[str] = set()
        self.token_requests: list[tuple[str, dict[str, list[str]]]] = []  # path, query
        self.identity = True  # whether the machine has one
        self.token = "token-of-the-identity"
        self.accepted = "token-of-the-identity"
        self.vault = ""  # its address
        self.identity_address = ""


class _Handler(BaseHTTPRequestHandler):
    azure: Azure
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def answer(self, status: int, body: Any, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, code: str, message: str) -> None:
        self.answer(status, {"error": {"code": code, "message": message}})


class _Vault(_Handler):
    def do_GET(self) -> None:
        if self.headers.get("Authorization") == f"Bearer {self.azure.accepted}":
            self.give()
        else:
            # the client takes a challenge only from the domain that it asked: here the rest of 127.0.0.1
            resource = f"https://{urlsplit(self.azure.vault).netloc.partition('.')[2]}"
            challenge = f'Bearer authorization="https://login.invalid/tenant", resource="{resource}"'
            self.answer(
                401,
                {
                    "error": {
                        "code": "Unauthorized",
                        "message": "AKV10000: Request is missing a Bearer token.",
                    }
                },
                WWW_Authenticate=challenge,
            )

    def give(self) -> None:
        """The secret that was asked for."""
        _, kind, name, *version = urlsplit(self.path).path.rstrip("/").split("/")
        value = self.azure.secrets.get((name, version[0] if version else ""))
        if kind != "secrets":
            self.refuse(404, "NotFound", "no such route")
        elif name in self.azure.forbidden:
            self.refuse(403, "Forbidden", "Caller is not authorized to perform action on resource.")
        elif value is None:
            message = f"A secret with (name/id) {name} was not found in this key vault."
            self.refuse(404, "SecretNotFound", message)
        else:
            identifier = f"{self.azure.vault}/secrets/{name}/{version[0] if version else 'v9'}"
            self.answer(200, {"value": value, "id": identifier, "attributes": {"enabled": True}})


class _Identity(_Handler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        app_service = url.path == "/msi/token"
        proven = (
            self.headers.get("X-IDENTITY-HEADER") == IDENTITY_HEADER
            if app_service
            else self.headers.get("Metadata") == "true"
        )
        if not proven:
            self.answer(400, {"error": "invalid_request"})
            return
        self.azure.token_requests.append((url.path, query))
        client = query.get("client_id", [KNOWN_CLIENT])[0]
        if not self.azure.identity or client != KNOWN_CLIENT:
            self.answer(400, {"error": "invalid_request", "error_description": "Identity not found"})
            return
        expires = int(datetime.datetime.now().timestamp()) + 3600
        self.answer(
            200,
            {
                "access_token": self.azure.token,
                "expires_on": str(expires),
                "expires_in": "3600",
                "resource": query["resource"][0],
                "token_type": "Bearer",
            },
        )


@contextmanager
def running(folder: Path) -> Iterator[Azure]:
    """Both stubs, and in `folder` the certificate to trust: `ca.pem`."""
    azure = Azure()
    certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    vault = ThreadingHTTPServer(("127.0.0.1", 0), type("Vault", (_Vault,), {"azure": azure}))
    vault.socket = context.wrap_socket(vault.socket, server_side=True)
    identity = ThreadingHTTPServer(("127.0.0.1", 0), type("Identity", (_Identity,), {"azure": azure}))
    azure.vault = f"https://127.0.0.1:{vault.server_port}"
    azure.identity_address = f"http://127.0.0.1:{identity.server_port}"
    for server in (vault, identity):
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield azure
    finally:
        for server in (vault, identity):
            server.shutdown()
            server.server_close()


def app_service(azure: Azure, folder: Path) -> dict[str, str]:
    """The variables of a machine with a managed identity in App Service's form."""
    return {
        "IDENTITY_ENDPOINT": f"{azure.identity_address}/msi/token",
        "IDENTITY_HEADER": IDENTITY_HEADER,
        "REQUESTS_CA_BUNDLE": str(folder / "ca.pem"),
        "NO_PROXY": "127.0.0.1",
    }


def certificate(folder: Path) -> None:
    """A self-signed certificate of 127.0.0.1: ca.pem and key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
