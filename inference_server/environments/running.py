"""Running an installer: what it says goes to the log, and in short to whoever watches; it ends when it is told to."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from inference_server.environments.errors import Stopped

LOOK_SECONDS = 0.1
GRACE_SECONDS = 3.0  # that a program is given to end when it is asked to
_KEPT_LINES = 2000  # in memory, of what an installer says
_NEWS = (
    re.compile(r"^(Resolved \d+ packages?)\b"),
    re.compile(r"^\s*(Downloading \S+ \([^)]+\))"),
    re.compile(r"^\s*(Building \S+)"),
    re.compile(r"^(Prepared \d+ packages?)\b"),
    re.compile(r"^(Installed \d+ packages?)\b"),
    re.compile(r"^(Collecting \S+)"),
    re.compile(r"^(Installing collected packages)"),
    re.compile(r"^(Successfully installed) "),
    re.compile(r"^\s*(Building wheel for \S+)"),
    re.compile(r"^((?:Solving|Preparing|Executing|Verifying) \w+)"),
    re.compile(r"^(Linking \S+)"),
)
_LEASH = str(Path(__file__).with_name("leash.py"))


def run(
    words: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    log: IO[str],
    say: Callable[[str], None],
    check: Callable[[], None],
    keep: int = -1,
    brief: bool = False,
) -> tuple[int, list[str]]:
    """Run a program to its end; returns its exit code and its lines.

    `check` is called every now and then: if it raises, the program and all it started are ended. `keep`: a descriptor it
    inherits, so that a lock is held for as long as it lives. `brief`: it ends soon by itself, so it need not be ended with
    this process. Raises OSError when it cannot be started.
    """
    log.write(f"$ {' '.join(words)}\n")
    log.flush()
    popen = subprocess.Popen(
        list(words) if brief else [*_leash(), *words],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(keep,) if keep >= 0 and sys.platform != "win32" else (),
        start_new_session=sys.platform != "win32",
        bufsize=0,
    )
    assert popen.stdout is not None
    lines: list[str] = []

    def take(line: str) -> None:
        with contextlib.suppress(OSError):  # a full disk: what it says is still known here
            log.write(line + "\n")
        lines.append(line)
        if len(lines) > _KEPT_LINES:
            del lines[1]
        if news := news_in(line):
            say(news)

    try:
        _pump(popen, take, check)
    except BaseException:
        _end(popen)
        raise
    finally:
        popen.stdout.close()
        with contextlib.suppress(OSError):
            log.flush()
    return popen.wait(), lines


def news_in(line: str) -> str:
    """What a line of an installer's output says that is worth showing; "" for most."""
    for pattern in _NEWS:
        if match := pattern.match(line):
            text = match[1].strip()
            return text[:1].lower() + text[1:]
    return ""


def stop_at(stopped: Callable[[], bool]) -> Callable[[], None]:
    """A `check` that raises Stopped once `stopped()`."""

    def check() -> None:
        if stopped():
            raise Stopped("stopped while an environment was being built; nothing of it is left")

    return check


def _pump(popen: subprocess.Popen[bytes], take: Callable[[str], None], check: Callable[[], None]) -> None:
    """Hand on its lines until it closes its output."""
    assert popen.stdout is not None
    descriptor, rest = popen.stdout.fileno(), b""
    while True:
        check()
        if sys.platform != "win32" and not select.select([descriptor], [], [], LOOK_SECONDS)[0]:
            if popen.poll() is None:
                continue
            if not select.select([descriptor], [], [], 0)[0]:
                break  # something it left behind holds the output open
        part = os.read(descriptor, 1 << 16)
        if not part:
            break
        *whole, rest = (rest + part.replace(b"\r", b"\n")).split(b"\n")
        for line in whole:
            take(line.decode("utf-8", "replace"))
    if rest:
        take(rest.decode("utf-8", "replace"))


def _end(popen: subprocess.Popen[bytes]) -> None:
    """End a program with all it started."""
    if sys.platform == "win32":
        popen.kill()
    else:
        with contextlib.suppress(OSError):
            os.killpg(popen.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while popen.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()


def _leash() -> list[str]:
    """The words before those of a program that is to end with this process."""
    if sys.platform == "win32":
        return []
    return [sys.executable, "-I", "-S", _LEASH, str(os.getpid())]
