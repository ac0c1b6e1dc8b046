"""Models and environments with versions and labels: registered once, and never another afterwards.

A version is made of what never changes (`facts`, and the snapshot of its files) and what people may change (`notes`:
description, tags, labels). `latest` is the label of the version that was made last and is not archived.
"""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_server.platform.asset_files import wrong_with_name
from inference_server.platform.errors import AlreadyThere, NotFound, Refused
from inference_server.platform.snapshots import put_in_place
from inference_server.platform.store import Store, next_number
from inference_server.storage.errors import cannot_write
from inference_server.storage.layout import model_folder

MODEL, ENVIRONMENT = "model", "environment"
LATEST = "latest"


@dataclass(frozen=True)
class Key:
    """All versions of one asset."""

    kind: str  # model or environment
    name: str
    registry: str = ""  # "": the workspace's own

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}" + (f" in registry {self.registry!r}" if self.registry else "")


@dataclass(frozen=True)
class New:
    """What is to be registered."""

    content: str  # a checksum of the facts and of all files
    facts: Mapping[str, Any]
    notes: Mapping[str, Any]  # what is given; the rest stays as it was
    label: str = ""  # moves to this version
    taken: Path | None = None  # the snapshot of its files, which is moved


@dataclass(frozen=True)
class Asset:
    """One version."""

    key: Key
    version: str
    content: str
    facts: Mapping[str, Any]
    notes: Mapping[str, Any]
    labels: Sequence[str]
    archived: bool
    created: float  # seconds of the epoch
    created_by: str
    folder: Path  # of its files, if it has any

    def __str__(self) -> str:
        return f"{self.key} version {self.version}"


class Registry:
    """The assets in one home. Raises what Store does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    def create(self, key: Key, version: str, new: New) -> Asset:
        """Register a version; "": one more than the highest number there is. The same content again only changes its notes.

        Raises AlreadyThere for another content under the same version, Refused for names that are none.
        """
        texts = {"name": key.name, "version": version, "label": new.label, "registry": key.registry}
        for what, text in texts.items():
            if (text or what == "name") and (wrong := wrong_with_name(text)):
                raise Refused(f"the {what} of the {key.kind}: {wrong}")
        with self._database.writing() as connection:
            version = version or _next_version(connection, key)
            there = self._look(connection, key, version)
            if there is None:
                self._insert(connection, key, version, new)
            elif there.content != new.content:
                raise AlreadyThere(
                    f"{there} is registered with another content, and a version never changes: choose another version, or "
                    "leave it out for the next one"
                )
            else:
                self._note(connection, there, new.notes)
            if new.label:
                self._move_label(connection, key, version, new.label)
            return self._found(connection, key, version)

    def versions(self, key: Key) -> list[Asset]:
        """All versions, the newest first. Raises NotFound."""
        with self._database.reading() as connection:
            found = self._all(connection, key)
        if not found:
            raise NotFound(f"there is no {key}")
        return found

    def names(self, kind: str, registry: str = "") -> list[Key]:
        """All assets of a kind, by name."""
        query = "SELECT DISTINCT name FROM assets WHERE kind = ? AND registry = ? ORDER BY name"
        with self._database.reading() as connection:
            return [Key(kind, row["name"], registry) for row in connection.execute(query, (kind, registry))]

    def find(self, key: Key, version: str = "", label: str = "") -> Asset:
        """One version, by that or by a label. Raises NotFound, which says what there is."""
        found = self.versions(key)
        chosen = [one for one in found if (one.version == version if version else label in one.labels)]
        if chosen:
            return chosen[0]
        which = f"version {version}" if version else f"label {label}"
        kept = ", ".join(one.version for one in found[:10])
        if label == LATEST:
            raise NotFound(f"every version of {key} is archived: {kept}")
        hint = f" (for the newest, name the label: @{LATEST})" if version == LATEST else ""
        raise NotFound(f"{key} has no {which}{hint}; its versions: {kept}")

    def archive(self, key: Key, archived: bool, version: str = "", label: str = "") -> None:
        """Hide versions from lists and from `latest`, or show them again; all of them when none is named. Who names an
        archived one still gets it. Raises NotFound."""
        with self._database.writing() as connection:
            if version or label:
                chosen = [self.find(key, version, label).version]
            else:
                chosen = [one.version for one in self.versions(key)]
            connection.executemany(
                "UPDATE assets SET archived = ? WHERE kind = ? AND registry = ? AND name = ? AND version = ?",
                [(int(archived), key.kind, key.registry, key.name, each) for each in chosen],
            )

    def folder(self, key: Key, version: str) -> Path:
        """Where the files of a version lie, if it has any."""
        root = self._store.home.root_of(key.registry)
        if key.kind == MODEL:
            return Path(model_folder(str(root), key.name, version))
        return root / "environments" / key.name / version

    def _insert(self, connection: sqlite3.Connection, key: Key, version: str, new: New) -> None:
        values = (
            key.kind,
            key.registry,
            key.name,
            version,
            next_number(connection),
            new.content,
            json.dumps(new.facts),
            json.dumps({**new.notes, "labels": []}),
            time.time(),
            _user(),
        )
        connection.execute(
            "INSERT INTO assets (kind, registry, name, version, number, content, facts, labels, created, created_by) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        if new.taken is not None:
            place = self.folder(key, version)
            try:
                put_in_place(new.taken, place)
            except OSError as error:
                raise cannot_write(place, error) from error

    def _note(self, connection: sqlite3.Connection, asset: Asset, notes: Mapping[str, Any]) -> None:
        own = [label for label in asset.labels if label != LATEST]
        self._write_notes(connection, asset, {**asset.notes, **notes}, own)

    def _move_label(self, connection: sqlite3.Connection, key: Key, version: str, label: str) -> None:
        if label == LATEST:
            raise Refused(f"{LATEST} is always the version that was made last: choose another label")
        for asset in self._all(connection, key):
            own = {one for one in asset.labels if one not in (LATEST, label)}
            if asset.version == version:
                own.add(label)
            if own != set(asset.labels) - {LATEST}:
                self._write_notes(connection, asset, asset.notes, sorted(own))

    def _write_notes(
        self, connection: sqlite3.Connection, asset: Asset, notes: Mapping[str, Any], labels: Sequence[str]
    ) -> None:
        connection.execute(
            "UPDATE assets SET labels = ? WHERE kind = ? AND registry = ? AND name = ? AND version = ?",
            (
                json.dumps({**notes, "labels": labels}),
                asset.key.kind,
                asset.key.registry,
                asset.key.name,
                asset.version,
            ),
        )

    def _all(self, connection: sqlite3.Connection, key: Key) -> list[Asset]:
        query = "SELECT * FROM assets WHERE kind = ? AND registry = ? AND name = ? ORDER BY number DESC"
        rows = connection.execute(query, (key.kind, key.registry, key.name)).fetchall()
        latest = next((row["version"] for row in rows if not row["archived"]), None)
        return [self._asset(row, key, row["version"] == latest) for row in rows]

    def _look(self, connection: sqlite3.Connection, key: Key, version: str) -> Asset | None:
        return next((one for one in self._all(connection, key) if one.version == version), None)

    def _found(self, connection: sqlite3.Connection, key: Key, version: str) -> Asset:
        found = self._look(connection, key, version)
        assert found is not None
        return found

    def _asset(self, row: sqlite3.Row, key: Key, is_latest: bool) -> Asset:
        notes = json.loads(row["labels"])
        labels = (*notes.pop("labels"), *([LATEST] if is_latest else []))
        return Asset(
            key,
            row["version"],
            row["content"],
            json.loads(row["facts"]),
            notes,
            labels,
            bool(row["archived"]),
            row["created"],
            row["created_by"],
            self.folder(key, row["version"]),
        )


def _next_version(connection: sqlite3.Connection, key: Key) -> str:
    query = "SELECT version FROM assets WHERE kind = ? AND registry = ? AND name = ?"
    versions = [row["version"] for row in connection.execute(query, (key.kind, key.registry, key.name))]
    return str(1 + max((int(one) for one in versions if one.isascii() and one.isdigit()), default=0))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else ""
