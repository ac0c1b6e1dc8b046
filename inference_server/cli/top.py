"""Watch a running server: load, batch sizes, waits, workers."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import select
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from inference_server.cli.command import INTERRUPTED, Parser, fail
from inference_server.cli.terminal import Terminal
from inference_server.cli.top_history import History
from inference_server.cli.top_view import picture, rendered

URL = "http://127.0.0.1:5001"
ROUTE = "/debug/requests"
NO_SERVER = 1
TIMEOUT = 5.0  # seconds for an answer
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # another screen without a cursor, and back
_HOME, _LINE_END, _BELOW = "\x1b[H", "\x1b[K\r\n", "\x1b[J"


class NoAnswer(Exception):
    """The server cannot be watched; the text says why, and what to do."""


def main(words: Sequence[str]) -> int:
    """Show the server; returns the exit code. 0: shown · 1: no server to show · 2: the command line is wrong."""
    try:
        options = parser().read(words)
    except SystemExit as end:
        return int(end.code or 0)
    terminal = Terminal()
    try:
        if options.once or not sys.stdout.isatty():
            _once(options.url, terminal)
        else:
            _live(options.url, options.interval, terminal)
    except NoAnswer as error:
        return fail("azmlinfsrv top", error, NO_SERVER)
    except KeyboardInterrupt:
        return 0 if not options.once else INTERRUPTED
    return 0


def parser() -> Parser:
    """The command's own parser."""
    made = Parser(
        "top",
        "Shows what a server on this machine does, anew every second: requests, latency, where the time goes, "
        "batches, workers. q ends it. Where the output is no terminal, it is shown once.",
        [
            ("azmlinfsrv top", f"the server at {URL}"),
            ("azmlinfsrv top --url http://127.0.0.1:8080", "one on another port"),
            ("azmlinfsrv top --once", "one picture, for scripts"),
        ],
    )
    made.add_argument("--url", default=URL, type=_url, help=f"Where the server listens. Default: {URL}.")
    made.add_argument(
        "--interval", default=1.0, type=_interval, metavar="SECONDS", help="Between two pictures. Default: 1."
    )
    made.add_argument("--once", action="store_true", help="Show one picture and exit.")
    return made


def _url(text: str) -> str:
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise argparse.ArgumentTypeError(f"expects an address such as {URL}, got {text!r}")
    return text.rstrip("/")


def _interval(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expects seconds from 0.1 to 3600, got {text!r}")
    return value


def ask(url: str, since: int) -> dict[str, Any]:
    """What the server at `url` says; see `/debug/requests`. Raises NoAnswer."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":  # nothing secret is sent, and nobody but this machine is answered
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT)
    try:
        connection.request("GET", f"{parts.path}{ROUTE}?since={since}")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(
            f"no server answers at {url} ({error or type(error).__name__}): start one with azmlinfsrv --entry_script "
            "score.py, or name its address with --url"
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise NoAnswer(
            f"{url}{ROUTE} is answered with {response.status}: it is open on the server's own machine only (run this "
            "there, without a proxy between), closed where /metrics is switched off, and older servers do not have it"
        )
    try:
        found: dict[str, Any] = json.loads(body)
        if "requests" in found and "workers" in found:
            return found
    except (ValueError, TypeError):
        pass
    raise NoAnswer(f"what answers at {url} is not azmlinfsrv; name its address with --url")


def _once(url: str, terminal: Terminal) -> None:
    history = History()
    history.add(ask(url, 0), monotonic())
    width = shutil.get_terminal_size((160, 50)).columns if sys.stdout.isatty() else 1000
    terminal.say("\n".join(rendered(line, width, terminal.paint) for line in picture(history, url)))


def _live(url: str, interval: float, terminal: Terminal) -> None:
    history = History()
    history.add(ask(url, 0), monotonic())
    note = ""
    with _screen():
        while True:
            _draw(picture(history, url, note), terminal)
            if _quit_within(interval):
                return
            try:
                history.add(ask(url, history.finished), monotonic())
                note = ""
            except NoAnswer as error:  # it may be starting anew
                note = str(error)


def _draw(lines: list[Any], terminal: Terminal) -> None:
    columns, rows = shutil.get_terminal_size()
    shown = [rendered(line, columns, terminal.paint) for line in lines[: rows - 1]]
    sys.stdout.write(_HOME + _LINE_END.join(shown) + "\x1b[K" + _BELOW)
    sys.stdout.flush()


@contextlib.contextmanager
def _screen() -> Iterator[None]:
    """A screen of our own on the terminal, and single keys; however we end, the terminal is as it was."""
    before = signal.signal(signal.SIGTERM, _end)
    keys = _single_keys()
    sys.stdout.write(_ENTER)
    try:
        with keys:
            yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _single_keys() -> contextlib.AbstractContextManager[None]:
    if not sys.stdin.isatty() or sys.platform == "win32":
        return contextlib.nullcontext()
    import termios
    import tty

    @contextlib.contextmanager
    def keys() -> Iterator[None]:
        kept = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)

    return keys()


def _quit_within(seconds: float) -> bool:
    """Wait; True as soon as q was pressed."""
    until = monotonic() + seconds
    watched = [sys.stdin] if sys.platform != "win32" and sys.stdin.isatty() else []
    while (left := until - monotonic()) > 0:
        if watched:
            ready, _, _ = select.select(watched, [], [], left)
            if ready and sys.stdin.read(1) in ("q", "Q", ""):
                return True
        else:
            time.sleep(left)
    return False
