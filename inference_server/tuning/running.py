"""One server on a free port of the loopback, started as a user starts it, and what it says of itself."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference_server.tuning import machine

POLL_SECONDS = 0.05
ASK_SECONDS = 5.0
STOP_SECONDS = 10.0
LOG_LINES = 15  # shown to the user when something went wrong
LOG_BYTES = 1 << 16  # of its end are looked through for them
ROWS = "azmlinfsrv_batch_rows"  # the histogram of rows in a run() call

_ACCESS = re.compile(r" I \[\d+\] (gunicorn\.access|azmlinfsrv) - .*(POST|GET) /")
_SAMPLE = re.compile(r"^(\w+)(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class StartFailed(Exception):
    """The server ended before it was ready, or took too long; `log` is the end of what it wrote."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


@dataclass(frozen=True)
class Batching:
    """How the server batches, as its readiness page says."""

    way: str = "single"  # run_batch, rows or single
    state: str = "off"  # on, proving, refused or off
    reason: str = ""
    rows: int = 1  # most in one run() call, once that is settled
    mismatch: str = ""  # the file that shows why rows are not merged

    @property
    def merges(self) -> bool:
        """Whether requests share calls, or may yet do."""
        return self.way != "single" and self.state in ("on", "proving")


@dataclass(frozen=True)
class Calls:
    """run() calls of a server in batching mode, and their rows, from its start."""

    count: float = 0.0
    rows: float = 0.0

    def mean_since(self, before: Calls) -> float:
        """Rows of a call since `before`; 0: there was none."""
        count = self.count - before.count
        return (self.rows - before.rows) / count if count else 0.0


class Server:
    """A running server. `arguments` are the command's words without a port; its log goes to `log`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: str) -> None:
        self.port, self.health_port = _free_ports()
        ports = ["--host", "127.0.0.1", "--port", str(self.port), "--health_port", str(self.health_port)]
        self._log = log
        with open(log, "wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "inference_server", *arguments, *ports],
                env={**environment, "SEPERATE_HEALTH_ENDPOINT": "false"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: the server is ended in good order
            )

    def wait_ready(self, workers: int, seconds: float, waits: Callable[[], None]) -> None:
        """Return once so many workers are ready; `waits` is called until then. Raises StartFailed."""
        until = time.monotonic() + seconds
        while True:
            if self._process.poll() is not None:
                raise StartFailed(f"the server ended with exit code {self._process.returncode}", self.tail())
            if (
                sum(worker["state"] in ("ready", "busy") for worker in self._health().get("workers", ()))
                >= workers
            ):
                return
            if time.monotonic() > until:
                raise StartFailed(f"the server was not ready within {seconds:.0f} s", self.tail())
            waits()
            time.sleep(POLL_SECONDS)

    def batching(self) -> Batching:
        """How it batches now."""
        facts = self._health().get("batching")
        if not facts:
            return Batching()
        return Batching(facts["way"], facts["state"], facts["reason"], facts["max_rows"], facts["repro"])

    def calls(self) -> Calls:
        """The run() calls it counted; none where it does not batch."""
        try:
            samples = _SAMPLE.findall(self._ask("/metrics").decode())
        except (OSError, http.client.HTTPException):
            return Calls()
        sums = {f"{ROWS}_count": 0.0, f"{ROWS}_sum": 0.0}
        for name, value in samples:
            if name in sums:
                sums[name] += float(value)
        return Calls(sums[f"{ROWS}_count"], sums[f"{ROWS}_sum"])

    def memory(self) -> tuple[int, int]:
        """Bytes of all its processes together, and of the largest worker."""
        held = machine.held(self._process.pid)
        pids = [worker["pid"] for worker in self._health().get("workers", ())]
        return sum(held.values()), max((held.get(pid, 0) for pid in pids), default=0)

    def tail(self) -> str:
        """The end of its log, without empty lines and those that each request has."""
        with open(self._log, "rb") as file:
            file.seek(max(0, os.path.getsize(self._log) - LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join([line for line in lines if line.strip() and not _ACCESS.search(line)][-LOG_LINES:])

    def stop(self) -> None:
        """End it and all it has started."""
        try:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        finally:  # also when Ctrl-C is pressed once more
            self._kill()

    def _kill(self) -> None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # whatever is left of its session
        elif self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _health(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._ask("/readyz"))
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        return answer

    def _ask(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


def _free_ports() -> tuple[int, int]:
    """Two ports of the loopback nobody listens on now."""
    with socket.socket() as one, socket.socket() as other:
        for sock in (one, other):
            sock.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
