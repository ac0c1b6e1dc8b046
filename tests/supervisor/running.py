"""Start a command for a test, talk to it, and be sure that it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
COMMAND = [sys.executable, "-m", "inference_server"]
DEADLINE = 20.0  # seconds; a bound for what takes a fraction of one on an idle machine


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Poll until `condition` holds; returns what it returned. A refused or cut connection counts as not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
        except OSError:
            result = None
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)


def connect(port: int, path: str = "/") -> socket.socket:
    """Send a request, read nothing yet."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return sock


def report(sock: socket.socket) -> dict[str, Any]:
    """The stand-in's answer, once it comes."""
    with sock, sock.makefile("rb") as file:
        data = file.read()
    if not data:
        raise ConnectionError("closed without an answer")
    answer: dict[str, Any] = json.loads(data.partition(b"\r\n\r\n")[2])
    return answer


def ask(port: int) -> dict[str, Any]:
    return report(connect(port))


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Running:
    """A started command, its port and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder

    def ask(self) -> dict[str, Any]:
        return ask(self.port)

    def up(self) -> dict[str, Any]:
        """Wait for the first answer."""
        answer: dict[str, Any] = until(self._answer_while_running)
        return answer

    def _answer_while_running(self) -> dict[str, Any]:
        assert self.process.poll() is None, self.written()
        return self.ask()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ends(self, seconds: float = DEADLINE) -> int:
        return self.process.wait(seconds)

    def written(self) -> str:
        return "".join((self.folder / name).read_text() for name in ("out", "err"))


@contextmanager
def running(folder: Path, command: list[str], *flags: str, **variables: str) -> Iterator[Running]:
    """Start `command` with `folder` as its current folder; the whole group is ended afterwards."""
    port = free_port()
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [*command, "--port", str(port), *flags],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **variables},
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    try:
        yield Running(process, port, folder)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
