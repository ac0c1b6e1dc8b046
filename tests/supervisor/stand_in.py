"""A front for tests of the supervisor: a small HTTP server that tells what it was asked to do.

Run as a program: `stand_in.py FLAG...`, the flags of the real command.

    GET /            its process id, and the calls it got: {"pid": 1, "calls": ["reload"], ...}
    GET /wait        the same, but only once the file named by STAND_IN_GATE exists
    GET /stuck       holds the event loop for ever
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from inference_server import settings as declared
from inference_server import supervisor
from inference_server.cli.flags import parse
from inference_server.settings import Settings
from inference_server.telemetry import logs


class StandIn:
    """Serves until stopped; a stop waits for the answers that are owed."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], notify: Callable[[], None] | None
    ) -> None:
        self.settings = settings
        self.sockets = sockets
        self.ports = [sock.getsockname()[1] for sock in sockets]
        self.notify = notify
        self.calls: list[str] = []
        self.owed = 0
        self.first = True
        self.stopping = asyncio.Event()
        self.ending = asyncio.Event()

    async def serve(self) -> int:
        if os.environ.get("STAND_IN_FAILS"):
            return 3
        servers = [await asyncio.start_server(self._answer, sock=sock) for sock in self.sockets]
        beat = asyncio.ensure_future(self._beat())
        await self.stopping.wait()
        for server in servers:
            server.close()
        while self.owed and not self.ending.is_set():
            await asyncio.sleep(0.01)
        beat.cancel()
        return 0

    async def _beat(self) -> None:
        while True:
            if self.notify:
                self.notify()
            await asyncio.sleep(0.1)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.owed += 1
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        if path == b"/stuck":
            time.sleep(1000)
        while path == b"/wait" and not os.path.exists(os.environ["STAND_IN_GATE"]):
            await asyncio.sleep(0.01)
        body = json.dumps(self._report(writer)).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        writer.close()
        self.owed -= 1

    def _report(self, writer: asyncio.StreamWriter) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "calls": self.calls,
            "owed": self.owed,
            "ports": self.ports,
            "worker_count": self.settings.workers.worker_count,
            "environment": self.settings.worker_environment(),
        }

    def stop(self, now: bool = False) -> None:
        self.calls.append("stop now" if now else "stop")
        self.stopping.set()
        if now:
            self.ending.set()

    def reload(self) -> None:
        self.calls.append("reload")

    def scale(self, by: int) -> None:
        self.calls.append(f"scale {by:+d}")

    def reopen_logs(self) -> None:
        self.calls.append("reopen_logs")


if __name__ == "__main__":
    settings = declared.load(parse(sys.argv[1:]))
    logs.setup(None, "INFO")
    chosen = supervisor.choose(settings, StandIn)
    for note in chosen.settings.notes:
        print(note, flush=True)
    sys.exit(chosen.run())
