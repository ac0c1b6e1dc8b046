"""One request to the ASGI application, from a protocol that has read all of it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from inference_server.http.head import RequestHead
from inference_server.http.site import AsgiApp

if TYPE_CHECKING:
    from inference_server.http.protocol import ScoringProtocol

logger = logging.getLogger("azmlinfsrv")


class AppCall:
    """Runs the application in a task and writes its answer in one piece when it is complete."""

    def __init__(
        self, connection: ScoringProtocol, app: AsgiApp, head: RequestHead, pieces: list[bytes]
    ) -> None:
        self._connection = connection
        self._head = head
        self._body = b"".join(pieces)
        self._read = False
        self._left = asyncio.Event()
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._answer: list[bytes] = []
        self._complete = False
        task = connection.loop.create_task(self._run(app))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)

    def client_left(self) -> None:
        self._left.set()

    def _scope(self) -> dict[str, Any]:
        head = self._head
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version[5:].decode("ascii"),
            "method": head.method,
            "scheme": self._connection.scheme,
            "path": head.path,
            "raw_path": head.target.partition(b"?")[0],
            "query_string": head.query,
            "root_path": "",
            "headers": head.headers,
            "client": self._connection.client_address,
            "server": self._connection.server_address,
            "state": {},
        }

    async def _receive(self) -> dict[str, Any]:
        if not self._read:
            self._read = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._answer.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self._complete = True
                self._write()

    async def _run(self, app: AsgiApp) -> None:
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception:
            logger.exception("Error while answering %s", self._head.request_line.decode("latin-1"))
        if not self._complete:
            self._status, self._headers, self._answer = 500, [(b"content-length", b"0")], []
            self._write()

    def _write(self) -> None:
        self._complete = True
        if self._left.is_set():
            return
        connection = self._connection
        head = self._head
        body = b"" if head.method == "HEAD" else b"".join(self._answer)
        raw = connection.site.heads.render_pairs(
            self._status, self._headers, head.version, not connection.closing
        )
        connection.transport.write(raw + body)
        connection.app_answered(self._status, self._headers, body, len(raw))
