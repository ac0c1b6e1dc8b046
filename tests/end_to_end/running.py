"""The real command, started as a user starts it, with what tests ask of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 30.0
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Reply:
    """One answer; header names in lower case, the last of repeated ones."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(what: Callable[[], Any], seconds: float = 10.0, why: str = "") -> Any:
    """What `what` returns once it is true; fails the test after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {why or what}")
        time.sleep(0.01)


class Server:
    """One running server. Made by the `serve` fixture, which also stops it."""

    def __init__(self, command: list[str], port: int, folder: Path, environment: dict[str, str]) -> None:
        self.port = port
        self.folder = folder
        self._out = folder / "server.log"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    # ------------------------------------------------------------ talking

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 20.0,
        port: int | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return Reply(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def score(self, body: Any, headers: dict[str, str] | None = None, timeout: float = 20.0) -> Reply:
        """POST /score with `body` as JSON."""
        return self.ask(
            "POST",
            "/score",
            json.dumps(body),
            {"Content-Type": "application/json", **(headers or {})},
            timeout,
        )

    def get(self, target: str, **more: Any) -> Reply:
        return self.ask("GET", target, **more)

    def connect(self, timeout: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def raw(self, data: bytes, timeout: float = 10.0) -> bytes:
        """Send bytes, then read until the server closes."""
        with self.connect(timeout) as sock:
            sock.sendall(data)
            return read_all(sock)

    # ------------------------------------------------------------ looking

    def log(self) -> str:
        return self._out.read_text(errors="replace")

    def wait_log(self, text: str, seconds: float = 10.0) -> None:
        wait_for(lambda: text in self.log(), seconds, f"{text!r} in the log")

    def workers(self) -> list[dict[str, Any]]:
        """The workers as /readyz reports them."""
        return list(self.get("/readyz").json()["workers"])

    def worker_pids(self) -> list[int]:
        return [worker["pid"] for worker in self.workers() if worker["pid"]]

    def front_pid(self) -> int:
        """The process whose children are the workers."""
        return parent_of(self.worker_pids()[0])

    def answers(self, path: str = "/") -> bool:
        """Whether `path` is answered with 200 now."""
        try:
            return self.get(path, timeout=2.0).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, seconds: float = READY_SECONDS) -> Server:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the server exited with {self.process.returncode}:\n{self.log()}")
            return self.answers("/readyz")

        wait_for(ready, seconds, f"ready; log:\n{self.log()}")
        return self

    # ------------------------------------------------------------ ending

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """End it as an orchestrator does; returns the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                return self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the server did not stop; log:\n{self.log()}") from None
        return self.process.returncode


def read_all(sock: socket.socket) -> bytes:
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "inference_server", *arguments]


def clean_environment(**more: str) -> dict[str, str]:
    """The test's environment, in which the package is importable from any folder."""
    root = str(Path(__file__).resolve().parent.parent.parent)
    return {**os.environ, "PYTHONPATH": root, **more}
