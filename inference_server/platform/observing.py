"""What an endpoint's own server writes of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from inference_server.platform.database import Database
from inference_server.platform.errors import NotFound, Overtaken
from inference_server.platform.records import FAILED, IN_PROGRESS, SUCCEEDED, Name, as_json


class Observer:
    """The right to write what is observed of one endpoint; `Store.observer` hands it out, to one process at a time.

    All its methods raise Overtaken when a later server has taken over, and NotFound for a name that is gone.
    """

    def __init__(self, database: Database, endpoint: str, epoch: int) -> None:
        self._database = database
        self._endpoint = endpoint
        self._epoch = epoch

    def observe(self, name: Name, generation: int, observed: Mapping[str, Any]) -> None:
        """Write what is; `generation`: the desired state that it speaks of. An older one than was written is refused
        (Overtaken)."""
        text = as_json(observed)
        with self._writing(name) as connection:
            table, where = _where(name)
            changed = connection.execute(
                f"UPDATE {table} SET observed = ?, observed_generation = ? "
                f"WHERE {where} AND observed_generation <= ? AND generation >= ?",
                (text, generation, *_key(name), generation, generation),
            )
            if not changed.rowcount:
                if connection.execute(f"SELECT 1 FROM {table} WHERE {where}", _key(name)).fetchone() is None:
                    raise NotFound(f"there is no {name}")
                raise Overtaken(f"{name} was observed at a newer generation than {generation}")

    def finish(self, name: Name, generation: int, code: str = "", message: str = "") -> None:
        """The operation that made this desired state has succeeded; with a `code`, it has failed because of `message`."""
        with self._writing(name) as connection:
            connection.execute(
                "UPDATE operations SET state = ?, code = ?, message = ?, ended = ? "
                "WHERE endpoint = ? AND deployment = ? AND generation = ? AND state = ?",
                (
                    FAILED if code else SUCCEEDED,
                    code,
                    message,
                    time.time(),
                    name.endpoint,
                    name.deployment,
                    generation,
                    IN_PROGRESS,
                ),
            )

    def forget(self, name: Name) -> None:
        """What was to be deleted is no more; its operation has succeeded. Raises Overtaken when nobody wants that."""
        with self._writing(name) as connection:
            table, where = _where(name)
            row = connection.execute(
                f"SELECT deleting, generation FROM {table} WHERE {where}", _key(name)
            ).fetchone()
            if row is None:
                raise NotFound(f"there is no {name}")
            if not row["deleting"]:
                raise Overtaken(f"{name} is not to be deleted")
            self.finish(name, row["generation"])
            if not name.deployment:
                connection.execute(
                    "UPDATE operations SET state = ?, ended = ? WHERE endpoint = ? AND state = ?",
                    (SUCCEEDED, time.time(), name.endpoint, IN_PROGRESS),  # its deployments go with it
                )
            connection.execute(f"DELETE FROM {table} WHERE {where}", _key(name))

    @contextmanager
    def _writing(self, name: Name) -> Iterator[sqlite3.Connection]:
        if name.endpoint.lower() != self._endpoint.lower():
            raise Overtaken(f"the server of {self._endpoint!r} does not serve {name}")
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT epoch FROM endpoints WHERE name = ?", (self._endpoint,)
            ).fetchone()
            if row is None:
                raise NotFound(f"there is no {Name(self._endpoint)}")
            if row["epoch"] != self._epoch:
                raise Overtaken(f"another process serves {Name(self._endpoint)} now")
            yield connection


def _where(name: Name) -> tuple[str, str]:
    return ("deployments", "endpoint = ? AND name = ?") if name.deployment else ("endpoints", "name = ?")


def _key(name: Name) -> tuple[str, ...]:
    return (name.endpoint, name.deployment) if name.deployment else (name.endpoint,)
