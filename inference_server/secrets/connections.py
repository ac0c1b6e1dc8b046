"""`${{azureml://connections/NAME…}}` where no workspace is: a file of connections, else the local store.

    …/NAME                     all of it, as JSON
    …/NAME/credentials/KEY     one value; so …/metadata/KEY
    …/NAME/target              the address it is for

The file is JSON, by name: {"search": {"target": "https://…", "credentials": {"key": "…"}, "metadata": {…}}}.
In the store each value has a name of its own: connections/search/credentials/key.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inference_server.secrets.reference import Unresolved
from inference_server.secrets.resolving import Found
from inference_server.secrets.store import Store

CREDENTIALS, METADATA, TARGET = "credentials", "metadata", "target"
_FORMS = "write azureml://connections/NAME, and after it /credentials/KEY, /metadata/KEY, /target, or nothing for all of it"
_PREFIX = "//connections/"


class Connections:
    """Only credentials are secret: target and metadata may show in logs."""

    def __init__(self, store: Store, file: str) -> None:
        self._store = store
        self._file = file

    def read(self, place: str) -> Found:
        """Raises Unresolved."""
        if not place.startswith(_PREFIX):
            raise Unresolved(_FORMS)
        name, *path = place[len(_PREFIX) :].split("/")
        whole = not path
        one = path == [TARGET] or (len(path) == 2 and path[0] in (CREDENTIALS, METADATA) and path[1])
        if not name or not (whole or one):
            raise Unresolved(_FORMS)
        listed = self._listed()
        if name in listed:
            found = _of(listed[name])
            return _whole(name, found) if whole else _part(found, path, f"the connection in {self._file}")
        if not whole:
            text = self._store.get("/".join(("connections", name, *path)))
            return Found(text, (text,) if path[0] == CREDENTIALS else ())
        return _whole(name, self._stored(name))

    def _listed(self) -> dict[str, Any]:
        """The connections of the file, by name."""
        if not self._file:
            return {}
        path = Path(self._file).expanduser()
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise Unresolved(f"the file of connections {path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
            raise Unresolved(f"the file of connections {path} is not JSON{place}") from None
        if not isinstance(content, dict):
            raise Unresolved(
                f'the file of connections {path} expects {{"NAME": {{"target": …, "credentials": …}}}}'
            )
        return content

    def _stored(self, name: str) -> dict[str, Any]:
        """A whole connection out of the store."""
        prefix = f"connections/{name}/"
        names = [entry.name for entry in self._store.entries() if entry.name.startswith(prefix)]
        if not names:
            raise Unresolved(
                f"no connection {name!r}: set its values with azmlinfsrv secret set {prefix}credentials/KEY, "
                "or name a file with --connections_file"
            )
        found: dict[str, Any] = {}
        for stored in names:
            section, _, key = stored[len(prefix) :].partition("/")
            text = self._store.get(stored)
            if key:
                found.setdefault(section, {})[key] = text
            else:
                found[section] = text
        return found


def _of(connection: Any) -> dict[str, Any]:
    """Its sections, also where it is written as Azure's REST interface has it."""
    inner = connection.get("properties", connection) if isinstance(connection, dict) else None
    return inner if isinstance(inner, dict) else {}


def _part(found: dict[str, Any], path: list[str], where: str) -> Found:
    value: Any = found
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        there = sorted(key for key in found.get(path[0], ()) if isinstance(found.get(path[0]), dict))
        has = f"; it has {', '.join(there)}" if there and len(path) > 1 else ""
        raise Unresolved(f"{where} has no {'/'.join(path)}{has}")
    text = value if isinstance(value, str) else json.dumps(value)
    return Found(text, (text,) if path[0] == CREDENTIALS else ())


def _whole(name: str, found: dict[str, Any]) -> Found:
    """The connection as Azure's REST interface gives it; its credentials are hidden."""
    credentials = found.get(CREDENTIALS)
    texts = credentials.values() if isinstance(credentials, dict) else ()
    hidden = tuple(text for text in texts if isinstance(text, str))
    return Found(json.dumps({"name": name, "properties": found}, ensure_ascii=False), hidden)
