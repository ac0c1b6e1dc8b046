"""Have a running server load its script afresh, losing no request."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Sequence
from time import monotonic
from typing import Any

from inference_server.cli.command import INTERRUPTED, Parser, fail
from inference_server.cli.terminal import Terminal
from inference_server.settings import DECLARED, read

FAILED, NO_SERVER = 1, 3
HOST = "127.0.0.1"
ASK_SECONDS = 5.0
LOOK_SECONDS = 0.05
RUNNING, GOOD = "running", "done"

_ABOUT = """\
A new worker loads the script beside the old one and takes over between two calls; the old one finishes what it has. A
script that cannot be started changes nothing: the old one keeps serving, and this command says why and exits with 1.
The server must run on this machine and in this container; a SIGHUP to it does the same."""
_EXAMPLES = [
    ("azmlinfsrv reload", "the server on port 5001"),
    ("azmlinfsrv reload --port 8080 --timeout 60", "another one, whose script loads for up to a minute"),
]


class CannotReload(Exception):
    """The text says why, and what to do."""


def parser() -> Parser:
    """The command line."""
    made = Parser("reload", _ABOUT, _EXAMPLES)
    made.add_settings("listen.port")
    made.add_argument(
        "--timeout",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="How long this waits for the new workers; they take over later too. Default: 600.",
    )
    return made


def main(words: Sequence[str]) -> int:
    """Reload; returns the exit code. 0: new workers serve · 1: the script cannot be started, the old one serves ·
    2: wrong use · 3: there is no such server, or it did not say in time how it went."""
    made = parser()
    try:
        options = made.read(words)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        port = getattr(options, "listen.port") or DECLARED["listen.port"].default
        report = _reload(port, options.timeout)
    except CannotReload as error:
        return fail(made.prog, error, NO_SERVER)
    except KeyboardInterrupt:
        return INTERRUPTED
    if report["state"] != GOOD:
        return fail(made.prog, f"the old code keeps serving: {report['reason']}", FAILED)
    terminal = Terminal()
    terminal.say(f"{terminal.paint('reloaded', 'green')} in {report['seconds']:.2f} s")
    return 0


def _seconds(text: str) -> float:
    try:
        return read.number(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _reload(port: int, seconds: float) -> dict[str, Any]:
    """What the server reports of the reload. Raises CannotReload."""
    if sys.platform == "win32":
        raise CannotReload("there is no SIGHUP on Windows: start the server with --reload and save a file")
    health = _health(port)
    pid = health.get("pid")
    if not isinstance(pid, int) or not _is_server(pid):
        raise CannotReload(
            f"the server on port {port} does not run on this machine or in this container: run the command there"
        )
    before = (health.get("reload") or {}).get("number", 0)
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise CannotReload(f"process {pid} cannot be signalled: {error.strerror}") from error
    until = monotonic() + seconds
    while monotonic() < until:
        report: dict[str, Any] | None = _health(port).get("reload")
        if report is not None and report["number"] > before and report["state"] != RUNNING:
            return report
        time.sleep(LOOK_SECONDS)
    raise CannotReload(f"the new workers were not ready within {seconds:g} s; /readyz says what they do")


def _health(port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection(HOST, port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer: Any = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CannotReload(
            f"no azmlinfsrv answers on port {port} ({error}): give the port of a running one with --port"
        ) from error
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}


def _is_server(pid: int) -> bool:
    """Whether that process is one of ours here: a server in a container gives the number it has in there."""
    try:
        shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout
    except OSError:
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                shown = file.read()
        except OSError:
            return False
    return "azmlinfsrv" in shown or "inference_server" in shown
