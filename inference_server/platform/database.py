"""One SQLite file that many processes write: whole changes or none, whoever is killed when.

Its journal is a write-ahead log, so that readers never wait for a writer; writers wait for each other. All of what SQLite
and the disk can say becomes one sentence.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TypeVar

from inference_server.platform.errors import StateUnusable
from inference_server.platform.schema import MIGRATIONS
from inference_server.storage.errors import cannot_write

WAIT_SECONDS = 10.0  # for other writers, each of which takes milliseconds
_LOOK_SECONDS = 0.02
_LEAST_FREE = 256 * 1024  # bytes; an I/O error on a disk with less is that of a full disk
Found = TypeVar("Found")


class Database:
    """The file at `path`, which is made when it is not there. Threads may share one; a forked process opens its own.

    Raises StateUnusable, here and in all that it does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        self._depth = 0
        try:
            self._connection = _opened(path)
        except (sqlite3.Error, OSError) as error:
            raise _said(path, error) from error

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One change: all of it is there afterwards, or, when the block raises, nothing. May be nested; the outermost
        decides."""
        with self._lock:
            if self._depth:
                yield self._connection
                return
            with self._transaction("IMMEDIATE") as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """What was there at one instant, for several queries."""
        with self._lock:
            if self._depth:
                yield self._connection
                return
            with self._transaction("DEFERRED") as connection:
                yield connection

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute(f"BEGIN {kind}")
            self._depth = 1
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:  # SQLite ends it itself after some errors
                    self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise _said(self.path, error) from error
            raise
        finally:
            self._depth = 0


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        # Turning the journal on waits for nobody: SQLite refuses at once while another process is at it.
        _patient(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())
        connection.execute("PRAGMA synchronous = FULL")  # what was answered for survives a loss of power
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables to the newest version, one step after the other."""
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        there = _version(connection)  # another process may have been at it
        if there > len(MIGRATIONS):
            raise StateUnusable(
                f"{path} was made by a newer azmlinfsrv (its version is {there}, this one knows {len(MIGRATIONS)}): "
                "install that, or set AZMLINFSRV_HOME to another folder"
            )
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not there and tables:
            raise StateUnusable(f"{path} is a database of something else: move it away")
        for number, statements in enumerate(MIGRATIONS[there:], there + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as found:
        return int(found.fetchone()[0])


def _patient(do: Callable[[], Found]) -> Found:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return do()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(_LOOK_SECONDS)


def _said(path: Path, error: Exception) -> StateUnusable:
    """What SQLite or the system says, as one line."""
    if isinstance(error, OSError):
        return StateUnusable(str(cannot_write(path.parent, error)))
    text = str(error)
    if "full" in text or ("I/O error" in text and _free(path.parent) < _LEAST_FREE):
        return StateUnusable(f"the disk of {path.parent} is full, nothing was changed: free some space there")
    if "locked" in text:
        return StateUnusable(
            f"another process has held {path} for {WAIT_SECONDS:g} s: try again, or end that process"
        )
    if "not a database" in text or "malformed" in text:
        return StateUnusable(f"{path} is damaged ({text}): put a copy back, or move it away to begin anew")
    if "readonly" in text or "unable to open" in text:
        return StateUnusable(
            f"{path.parent} cannot be written ({text}): give this user the right to, or set AZMLINFSRV_HOME to another folder"
        )
    return StateUnusable(f"{path} cannot be used: {text}")


def _free(folder: Path) -> int:
    try:
        status = os.statvfs(folder)
    except (OSError, AttributeError):  # Windows has none
        return _LEAST_FREE
    return status.f_bavail * status.f_frsize
