"""The Pythons that are on this machine, and the one to make an environment of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from inference_server.environments.errors import EnvironmentFailed
from inference_server.environments.python_versions import OLDEST, Minor, Wanted, shown

ASK_SECONDS = 30.0
_COMMAND = re.compile(r"python(\d)\.(\d+)(?:\.exe)?")
_FOLDER = re.compile(r"(?:cpython-)?(\d)\.(\d+)(?:\.(\d+))?(?:[-+].*)?")
_WINDOWS_FOLDER = re.compile(r"Python(\d)(\d+)")
_SAY = "import sys; print('%d %d' % sys.version_info[:2])"
_WINDOWS = sys.platform == "win32"


@dataclass(frozen=True)
class Interpreter:
    """A Python, by its path."""

    path: str
    minor: Minor


def running() -> Interpreter:
    """The one that runs this, outside of its virtual environment."""
    path: str = getattr(sys, "_base_executable", "") or sys.executable
    return Interpreter(path, sys.version_info[:2])


def choose(wanted: Wanted, environ: Mapping[str, str], given: str = "") -> Minor:
    """The Python for a definition: the given interpreter's or the running one's if allowed, else the newest there is.

    Nothing is started but `given`. Raises EnvironmentFailed when there is none.
    """
    exact = wanted.exact
    if exact is not None and exact < OLDEST:
        raise EnvironmentFailed(
            f"Python {shown(exact)} is too old: a script runs on Python {shown(OLDEST)} or newer"
        )
    if given:
        minor = minor_of(given)
        if minor is None or not wanted.allows(minor):
            is_one = f"is Python {shown(minor)}" if minor else "does not run"
            raise EnvironmentFailed(
                f"{given} {is_one}, and the definition asks for {wanted.text or 'a Python'}"
            )
        return minor
    if exact is not None:
        return exact
    if wanted.allows(running().minor):
        return running().minor
    allowed = [found.minor for found in installed(environ) if wanted.allows(found.minor)]
    if not allowed:
        raise EnvironmentFailed(_nowhere(wanted.text, environ))
    return max(allowed)


def find(minor: Minor, environ: Mapping[str, str], given: str = "") -> Interpreter:
    """An interpreter of that version that runs. Raises EnvironmentFailed when there is none."""
    if given:
        return Interpreter(given, minor)
    if running().minor == minor:
        return running()
    for found in installed(environ):
        if found.minor == minor and minor_of(found.path) == minor:
            return found
    raise EnvironmentFailed(_nowhere(shown(minor), environ))


def minor_of(path: str) -> Minor | None:
    """The version of an interpreter; None: it does not run as one."""
    try:
        answer = subprocess.run([path, "-I", "-c", _SAY], capture_output=True, text=True, timeout=ASK_SECONDS)
        first, second = answer.stdout.split()
        return int(first), int(second)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def installed(environ: Mapping[str, str]) -> Iterator[Interpreter]:
    """The Pythons that there seem to be, told by the names of files and folders: none is started.

    On the command path, of pyenv, of uv, of conda, and where Windows' installer puts them; newer patches first.
    """
    for folder in environ.get("PATH", "").split(os.pathsep):
        if os.path.basename(folder) != "shims":  # pyenv's start what is there only if it is chosen, too
            yield from _commands(folder)
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or os.path.expanduser("~"))
    yield from _versions(Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions", _FOLDER)
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if _WINDOWS:
        data = Path(environ.get("APPDATA") or home)
        local = Path(environ.get("LOCALAPPDATA") or home)
        yield from _versions(local / "Programs" / "Python", _WINDOWS_FOLDER)
    yield from _versions(Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python"), _FOLDER)


def _commands(folder: str) -> Iterator[Interpreter]:
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return
    for name in names:
        match = _COMMAND.fullmatch(name)
        if match:
            yield Interpreter(os.path.abspath(os.path.join(folder, name)), (int(match[1]), int(match[2])))


def _versions(folder: Path, pattern: re.Pattern[str]) -> Iterator[Interpreter]:
    try:
        matches = [(match, path) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    except OSError:
        return
    for match, path in sorted(
        matches, key=lambda item: [int(part or 0) for part in item[0].groups()], reverse=True
    ):
        python = path / "python.exe" if _WINDOWS else path / "bin" / "python3"
        if python.exists():
            yield Interpreter(str(python), (int(match[1]), int(match[2])))


def _nowhere(wanted: str, environ: Mapping[str, str]) -> str:
    there = sorted({found.minor for found in installed(environ)} | {running().minor})
    here = ", ".join(shown(minor) for minor in there if minor >= OLDEST)
    version = re.sub(r"[^\d.].*", "", wanted.lstrip("=<>~! ")) or wanted
    return (
        f"no Python {wanted} is on this machine, which has {here}: get it with `uv python install {version}`, "
        f"`pyenv install {version}` or the system's packages, or name one with --python"
    )
