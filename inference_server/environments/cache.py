"""Environments that have been made, one folder for each key.

    <root>/<platform>/<key>/        env/          what was installed
                                    made.json     written last: without it the folder is a half
                                    build.log     what the installer said
                                    in-use/PID    locked by each process that runs something in it
    <root>/<platform>/<key>.lock    held by who builds or removes, and by the installer it started
    <root>/<platform>/<key>.log     of the last build that failed

An environment knows its own path, in scripts, in `pyvenv.cfg` and inside compiled libraries, so it is built where it
stays, and is one when its marker is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from inference_server.environments.errors import EnvironmentFailed
from inference_server.environments.key import platform
from inference_server.environments.locks import Lock

LOG_SECONDS = 7 * 86400.0  # how long the log of a build that failed is kept
MARKER, PREFIX, LOG, USERS = "made.json", "env", "build.log", "in-use"


@dataclass(frozen=True)
class Made:
    """One environment that is complete."""

    key: str
    prefix: str  # its folder
    source: str  # the definition's file, when it was made
    kind: str
    python: str  # 3.9
    installer: str  # uv, pip, conda, …
    created: float  # seconds since 1970
    seconds: float  # that it took
    notes: tuple[str, ...] = ()

    @property
    def interpreter(self) -> str:
        """The path of its Python."""
        return interpreter_in(self.prefix)


@dataclass(frozen=True)
class Listed:
    """One environment, as a list shows it."""

    made: Made
    packages: int
    size: int  # bytes of its files; uv shares many of them with its own cache
    used: float  # when a process last began to use it; seconds since 1970
    users: tuple[int, ...]  # the processes that use it now


class Use:
    """The right to find an environment in its place, until `close` or the end of this process."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def close(self) -> None:
        self._lock.release()


class Cache:
    """The environments of this platform under one root. The folder is made when there is something to keep in it."""

    def __init__(self, root: str) -> None:
        self.folder = Path(os.path.realpath(root)) / platform()

    # ------------------------------------------------------------ finding

    def find(self, key: str) -> Made | None:
        """The environment of that key if it is complete, here, and its Python still there."""
        folder = self.folder / key
        try:
            content = json.loads((folder / MARKER).read_bytes())
            made = Made(**{**content, "notes": tuple(content["notes"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if made.prefix != str(folder / PREFIX) or not os.access(made.interpreter, os.X_OK):
            return None
        return made

    def use(self, made: Made) -> Use:
        """Keep an environment from being removed, and note the time. Raises EnvironmentFailed when it is gone."""
        folder = self.folder / made.key
        with contextlib.suppress(
            OSError
        ):  # of somebody else, or on a medium that cannot be written: nobody removes it
            (folder / USERS).mkdir(exist_ok=True)
            os.utime(folder / USERS)
        lock = Lock(str(folder / USERS / f"{os.getpid()}-{time.monotonic_ns()}"))
        with contextlib.suppress(OSError):
            lock.take()
        if self.find(made.key) is None:
            lock.release()
            raise EnvironmentFailed(f"the environment {made.key} was removed just now: try again")
        return Use(lock)

    def entries(self) -> list[Listed]:
        """All of them, those used last first."""
        found = [self._listed(made) for key in self._keys() if (made := self.find(key)) is not None]
        return sorted(found, key=lambda item: item.used, reverse=True)

    def _listed(self, made: Made) -> Listed:
        folder = self.folder / made.key
        try:
            used = (folder / USERS).stat().st_mtime
        except OSError:
            used = made.created
        return Listed(made, packages_in(made.prefix), _size(folder), used, tuple(self._users(made.key)))

    def _keys(self) -> list[str]:
        try:
            return sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        except OSError:
            return []

    def _users(self, key: str) -> Iterator[int]:
        """The processes that use an environment; marks of those that ended are removed."""
        try:
            names = os.listdir(self.folder / key / USERS)
        except OSError:
            return
        for name in names:
            lock = Lock(str(self.folder / key / USERS / name))
            try:
                ended = lock.take()
            except OSError:
                continue
            if ended:
                lock.release()
            elif name.partition("-")[0].isdigit():
                yield int(name.partition("-")[0])

    # ------------------------------------------------------------ making

    def lock(self, key: str) -> Lock:
        """What whoever builds or removes holds. Raises EnvironmentFailed when the cache cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise EnvironmentFailed(
                f"environments cannot be kept in {self.folder}: {error.strerror}; name another folder with "
                "--environment_cache"
            ) from None
        return Lock(str(self.folder / f"{key}.lock"))

    def begin(self, key: str) -> Path:
        """An empty folder for a new environment, whose lock the caller holds."""
        folder = self.folder / key
        _remove(folder)
        (folder / USERS).mkdir(parents=True)
        return folder

    def publish(self, made: Made) -> None:
        """From now on it is there. The caller holds its lock."""
        folder = self.folder / made.key
        partial = folder / f"{MARKER}.partial"
        partial.write_text(json.dumps(asdict(made), indent=2) + "\n")
        os.replace(partial, folder / MARKER)
        with contextlib.suppress(OSError):
            (self.folder / f"{made.key}.log").unlink(missing_ok=True)

    def discard(self, key: str, keep_log: bool = False) -> str:
        """Remove a half whose lock the caller holds; returns where its log is kept, "" for nowhere."""
        kept = ""
        if keep_log:
            with contextlib.suppress(OSError):
                os.replace(self.folder / key / LOG, self.folder / f"{key}.log")
                kept = str(self.folder / f"{key}.log")
        _remove(self.folder / key)
        return kept

    # ------------------------------------------------------------ removing

    def remove(self, key: str, force: bool = False) -> str:
        """Remove one; returns why not, "" when it is gone. `force`: also one that is in use."""
        with self.lock(key) as lock:
            if not lock.take():
                return f"process {lock.holder} builds it"
            users = list(self._users(key))
            if users and not force:
                return f"process {', '.join(map(str, users))} uses it"
            with contextlib.suppress(OSError):
                (self.folder / key / MARKER).unlink()  # from here on nobody begins to use it
            _remove(self.folder / key)
        return ""

    def sweep(self) -> int:
        """Remove what builders that died have left, and logs of failures that nobody needs now; returns how many halves."""
        swept = 0
        for log in self.folder.glob("*.log"):
            with contextlib.suppress(OSError):
                if log.stat().st_mtime < time.time() - LOG_SECONDS:
                    log.unlink()
        locks = {path.stem for path in self.folder.glob("*.lock")}
        for key in sorted(locks.union(self._keys())):
            if (self.folder / key / MARKER).exists():
                continue
            with self.lock(key) as lock:
                folder = self.folder / key
                if lock.take() and folder.exists() and not (folder / MARKER).exists():
                    _remove(folder)
                    swept += 1
        return swept


def interpreter_in(prefix: str) -> str:
    """The Python of a virtual or conda environment."""
    if sys.platform == "win32":
        inside = os.path.join(prefix, "Scripts", "python.exe")
        return inside if os.path.exists(inside) else os.path.join(prefix, "python.exe")
    return os.path.join(prefix, "bin", "python")


def packages_in(prefix: str) -> int:
    """How many packages are installed there."""
    found = {path.name for pattern in _SITES for path in Path(prefix).glob(f"{pattern}/*.dist-info")}
    return len(found)


_SITES = ("lib/python3*/site-packages", "Lib/site-packages")


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _remove(folder: Path) -> None:
    """Remove a folder with all in it, write-protected or not. Raises EnvironmentFailed when something stays."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    for parent, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(parent, 0o700)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise EnvironmentFailed(f"{error.filename} cannot be removed: {error.strerror}") from None
