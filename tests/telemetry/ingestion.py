"""A small Application Insights ingestion endpoint: it keeps what the real Azure exporter sends."""

from __future__ import annotations

import gzip
import importlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from inference_server.telemetry.insights import NEEDS
from tests.tools import missing


def require_extra() -> None:
    """The test goes on only where the packages of the extra `telemetry` are installed."""
    try:
        for name in NEEDS:
            importlib.import_module(name)
    except ImportError as error:
        missing(f"needs the extra azmlinfsrv[telemetry]: {error}")


class Ingestion:
    """`items` are the telemetry items received, as the exporter's JSON says them."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.port = 0

    def connection_string(self, key: str) -> str:
        return f"InstrumentationKey={key};IngestionEndpoint=http://127.0.0.1:{self.port}"

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The base data of all items of a kind: RequestData, MessageData or ExceptionData."""
        return [item["data"]["baseData"] for item in self.items if item["data"]["baseType"] == kind]

    def wait_for(self, kind: str, count: int, seconds: float = 20) -> list[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        while len(self.of(kind)) < count:
            assert time.monotonic() < deadline, f"{len(self.of(kind))} of {count} {kind} after {seconds} s"
            time.sleep(0.02)
        return self.of(kind)


@contextmanager
def ingestion() -> Iterator[Ingestion]:
    """The endpoint on a free loopback port."""
    kept = Ingestion()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            items = json.loads(body)
            kept.items.extend(items)
            answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
