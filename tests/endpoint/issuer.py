"""An OpenID Connect issuer on the loopback: signs tokens, publishes its keys, and rotates them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "https://ml.azure.com"


class Issuer:
    """`keys` are those it signs with, by id; `published` is what its JWKS document lists."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}/tenant"
        self.keys: dict[str, Any] = {}
        self.published: list[dict[str, Any]] = []
        self.fetched: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {}  # of paths that are to answer otherwise
        self.rotate("first")

    def rotate(self, kid: str, kind: str = "RSA", keep: bool = False) -> None:
        """Sign with a new key from now on, published in place of the others or beside them."""
        key: Any
        if kind == "RSA":
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            public, algorithm = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "RS256"
        else:
            key = ec.generate_private_key(ec.SECP256R1())
            public, algorithm = ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "ES256"
        self.keys[kid] = key, algorithm
        entry = {**public, "kid": kid, "use": "sig", "alg": algorithm}
        self.published = [*self.published, entry] if keep else [entry]

    def token(self, kid: str = "", **claims: Any) -> str:
        """A good one, unless `claims` say otherwise; None leaves one out."""
        kid = kid or list(self.keys)[-1]
        key, algorithm = self.keys[kid]
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "s", "oid": "someone", "nbf": now, "exp": now + 600}
        said = {**said, "scp": "user_impersonation score", **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid})

    def answer(self, path: str) -> tuple[int, bytes]:
        self.fetched.append(path)
        if path in self.answers:
            return self.answers[path]
        documents: dict[str, Any] = {
            "/tenant/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/tenant/keys": {"keys": self.published},
        }
        return (200, json.dumps(documents[path]).encode()) if path in documents else (404, b"")


@contextmanager
def issuing() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
                body = b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
