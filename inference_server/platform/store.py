"""Endpoints and deployments of this machine: what is desired of them, what is observed, and operations under way.

Whoever wants a change writes it as *desired* state, against the generation that was read: of two at once, one is told that
it was overtaken. The endpoint's own server, and nobody else, makes it so and writes what it *observed*. Neither waits
for the other, and each may be killed at any instant.

    found = store.get(Name("my-endpoint"))
    store.change(found.name, found.generation, {**found.desired, "traffic": {"blue": 100}}, "update")
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

from inference_server.platform.database import Database
from inference_server.platform.errors import AlreadyThere, NotFound, Overtaken, StateUnusable
from inference_server.platform.home import Home
from inference_server.platform.observing import Observer
from inference_server.platform.records import (
    CANCELED,
    IN_PROGRESS,
    Name,
    Operation,
    Record,
    as_json,
    operation,
    record,
)
from inference_server.storage.errors import Stopped
from inference_server.storage.locks import locked

PORTS = range(5101, 6101)  # of endpoints, unless told otherwise
OPERATIONS = 100  # of one name that are kept


class Store:
    """The state in one home folder. Threads may share one; a forked process opens its own.

    Every method raises StateUnusable where the disk or the database does.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.database = Database(home.state)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self.database.close()

    @contextmanager
    def atomically(self) -> Iterator[None]:
        """All changes in the block become one: others see all of them or none."""
        with self.database.writing():
            yield

    # ------------------------------------------------------------ reading

    def endpoints(self) -> list[Record]:
        """All endpoints, by name."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT * FROM endpoints ORDER BY name")
            return [record(row, Name(row["name"])) for row in rows]

    def deployments(self, endpoint: str) -> list[Record]:
        """All deployments of an endpoint, by name. Raises NotFound for the endpoint."""
        with self.database.reading() as connection:
            _row(connection, Name(endpoint))
            rows = connection.execute(
                "SELECT * FROM deployments WHERE endpoint = ? ORDER BY name", (endpoint,)
            )
            return [record(row, Name(row["endpoint"], row["name"])) for row in rows]

    def get(self, name: Name) -> Record:
        """One endpoint or deployment, under its name as it was written first. Raises NotFound."""
        with self.database.reading() as connection:
            return _found(connection, name)

    def operations(self, name: Name) -> list[Operation]:
        """What was asked for lately, the newest last; also of what is gone."""
        query = "SELECT * FROM operations WHERE endpoint = ? AND deployment = ? ORDER BY generation"
        with self.database.reading() as connection:
            return [operation(row) for row in connection.execute(query, (name.endpoint, name.deployment))]

    def operation(self, id: str) -> Operation:
        """One operation. Raises NotFound."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT * FROM operations WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no operation {id}")
        return operation(row)

    # ------------------------------------------------------------ what is desired

    def create(self, name: Name, desired: Mapping[str, Any], kind: str = "create") -> Operation:
        """Ask for a new one. Raises AlreadyThere; NotFound for a deployment without its endpoint."""
        text, now = as_json(desired), time.time()
        with self.database.writing() as connection:
            if name.deployment and _found(connection, Name(name.endpoint)).deleting:
                raise Overtaken(f"{Name(name.endpoint)} is being deleted: wait until it is gone")
            if _look(connection, name) is not None:
                raise AlreadyThere(f"{name} is there already: update it, or choose another name")
            generation = next_number(connection)
            table, keys = _table(name)
            columns = [*keys, "generation", "desired", "created", "changed"]
            marks = ", ".join("?" for _ in columns)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
                (*keys.values(), generation, text, now, now),
            )
            return _begin(connection, name, kind, generation, now)

    def change(
        self, name: Name, expected_generation: int, desired: Mapping[str, Any], kind: str = "update"
    ) -> Operation:
        """Ask for another state than that of `expected_generation`. Raises Overtaken when that is not the newest any more,
        or it is being deleted; NotFound."""
        return self._change(name, expected_generation, kind, {"desired": as_json(desired)})

    def delete(self, name: Name, expected_generation: int) -> Operation:
        """Ask for it to be no more; of an endpoint, with all its deployments. Raises as `change`."""
        with self.database.writing():
            operation = self._change(name, expected_generation, "delete", {"deleting": 1})
            if not name.deployment:
                for deployment in self.deployments(name.endpoint):
                    if not deployment.deleting:
                        self._change(deployment.name, deployment.generation, "delete", {"deleting": 1})
            return operation

    def _change(self, name: Name, expected: int, kind: str, values: Mapping[str, Any]) -> Operation:
        now = time.time()
        with self.database.writing() as connection:
            found = _found(connection, name)
            if found.deleting:
                raise Overtaken(f"{name} is being deleted")
            if found.generation != expected:
                raise Overtaken(
                    f"{name} was changed by somebody else meanwhile (it is at {found.generation}, not {expected}): look "
                    "at it again, then repeat"
                )
            generation = next_number(connection)
            table, keys = _table(name)
            changes = {**values, "generation": generation, "changed": now}
            connection.execute(
                f"UPDATE {table} SET {_equals(changes, ', ')} WHERE {_equals(keys, ' AND ')}",
                (*changes.values(), *keys.values()),
            )
            return _begin(connection, found.name, kind, generation, now)

    # ------------------------------------------------------------ what is observed

    @contextmanager
    def observer(self, endpoint: str) -> Iterator[Observer]:
        """The right to write what is observed of an endpoint and its deployments, until the block or the process ends,
        however that is. Raises Overtaken while another process has it; NotFound."""
        now = Event()
        now.set()
        self.home.locks.mkdir(mode=0o700, exist_ok=True)
        try:
            with locked(self.home.locks / f"{self.get(Name(endpoint)).name.endpoint.lower()}.lock", now):
                with self.database.writing() as connection:
                    connection.execute("UPDATE endpoints SET epoch = epoch + 1 WHERE name = ?", (endpoint,))
                    row = connection.execute(
                        "SELECT epoch FROM endpoints WHERE name = ?", (endpoint,)
                    ).fetchone()
                if row is None:
                    raise NotFound(f"there is no {Name(endpoint)}")
                yield Observer(self.database, endpoint, row["epoch"])
        except Stopped:
            raise Overtaken(f"another process serves {Name(endpoint)}: stop that one first") from None

    # ------------------------------------------------------------ ports

    def port(
        self,
        endpoint: str,
        candidates: Sequence[int] = PORTS,
        is_free: Callable[[int], bool] = lambda port: True,
    ) -> int:
        """The port of an endpoint: given once, kept until the endpoint is gone, and never another's meanwhile.

        `is_free` is asked before a port is given: another program may have it. One that nobody had is given before one
        that a deleted endpoint had. Raises NotFound; StateUnusable when no port is left.
        """
        with self.database.writing() as connection:
            _row(connection, Name(endpoint))
            kept = connection.execute("SELECT port FROM ports WHERE endpoint = ?", (endpoint,)).fetchone()
            if kept is not None:
                return int(kept["port"])
            owners = {row["port"]: row["endpoint"] for row in connection.execute("SELECT * FROM ports")}
            unused = [port for port in candidates if port not in owners]
            former = [port for port in candidates if port in owners and owners[port] is None]
            for port in (*unused, *former):
                if is_free(port):
                    connection.execute("INSERT OR REPLACE INTO ports VALUES (?, ?)", (port, endpoint))
                    return port
        raise StateUnusable(
            f"no port from {min(candidates)} to {max(candidates)} is left: delete endpoints that are not needed"
        )


def next_number(connection: sqlite3.Connection) -> int:
    """One more than any number before it. Within a change only."""
    connection.execute("UPDATE sequence SET last = last + 1")
    return int(connection.execute("SELECT last FROM sequence").fetchone()["last"])


def _begin(connection: sqlite3.Connection, name: Name, kind: str, generation: int, now: float) -> Operation:
    """A new operation; it takes the place of what is under way for the same name."""
    connection.execute(
        "UPDATE operations SET state = ?, ended = ?, code = 'OperationCanceled', message = 'another change came after it' "
        "WHERE endpoint = ? AND deployment = ? AND state = ?",
        (CANCELED, now, name.endpoint, name.deployment, IN_PROGRESS),
    )
    made = Operation(str(uuid.uuid4()), name, kind, generation, IN_PROGRESS, "", "", now, None)
    connection.execute(
        "INSERT INTO operations (id, endpoint, deployment, kind, generation, state, begun) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (made.id, name.endpoint, name.deployment, kind, generation, made.state, now),
    )
    connection.execute(
        "DELETE FROM operations WHERE endpoint = ? AND deployment = ? AND generation < (SELECT generation FROM operations "
        "WHERE endpoint = ? AND deployment = ? ORDER BY generation DESC LIMIT 1 OFFSET ?)",
        (name.endpoint, name.deployment, name.endpoint, name.deployment, OPERATIONS - 1),
    )
    return made


def _table(name: Name) -> tuple[str, dict[str, str]]:
    """Where a name is kept: the table, and its key there."""
    if name.deployment:
        return "deployments", {"endpoint": name.endpoint, "name": name.deployment}
    return "endpoints", {"name": name.endpoint}


def _equals(values: Mapping[str, Any], between: str) -> str:
    return between.join(f"{column} = ?" for column in values)


def _look(connection: sqlite3.Connection, name: Name) -> sqlite3.Row | None:
    table, keys = _table(name)
    query = f"SELECT * FROM {table} WHERE {_equals(keys, ' AND ')}"
    row: sqlite3.Row | None = connection.execute(query, (*keys.values(),)).fetchone()
    return row


def _row(connection: sqlite3.Connection, name: Name) -> sqlite3.Row:
    row = _look(connection, name)
    if row is None:
        if name.deployment:
            _row(connection, Name(name.endpoint))
        raise NotFound(f"there is no {name}")
    return row


def _found(connection: sqlite3.Connection, name: Name) -> Record:
    row = _row(connection, name)
    kept = Name(row["endpoint"], row["name"]) if name.deployment else Name(row["name"])
    return record(row, kept)
