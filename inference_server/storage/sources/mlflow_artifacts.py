"""`mlflow-artifacts:/PATH`: what a tracking server hands out itself, over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode

from inference_server.storage.opening import Opening
from inference_server.storage.source import Buffer, Entry, SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.web import WebFile

_ROUTE = "/api/2.0/mlflow-artifacts/artifacts"
_ACCESS = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"


class ArtifactSource:
    """A file or folder of the server's artifacts."""

    ranged = False  # the server sends whole files

    def __init__(self, address: str, spoken: str, opening: Opening) -> None:
        parts = addresses.split(address)
        tracking = opening.get("MLFLOW_TRACKING_URI").rstrip("/")
        if parts.netloc:
            scheme = "https" if tracking.startswith("https:") else "http"
            server = f"{scheme}://{addresses.host(parts)}"
        elif tracking.startswith(("http://", "https://")):
            of_tracking = addresses.split(tracking)
            server = f"{of_tracking.scheme}://{addresses.host(of_tracking)}{of_tracking.path}"
        else:
            raise SourceError(
                f"{spoken} lies at a tracking server: set MLFLOW_TRACKING_URI to http(s)://HOST:PORT"
            )
        self._base = f"{server}{_ROUTE}"
        self._path = unquote(parts.path).strip("/")
        self._headers = _authorization(tracking, opening)
        self._opening = opening
        self.spoken = spoken
        self.name = addresses.last(self._path)
        self.is_folder: bool | None = None

    def entries(self) -> Sequence[Entry]:
        """The file, or the files below the folder."""
        found = sorted(self._below(""), key=lambda entry: entry.path)
        self.is_folder = bool(found)
        if found:
            return found
        look = self._file("").look()
        return [Entry(self.name, look.size, look.validator, look.md5, look.sha256)]

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`."""
        return self._file(entry.path if self.is_folder else "").read(start, stop, entry.etag)

    def close(self) -> None:
        """Nothing stays open between requests."""

    def _below(self, folder: str) -> Iterator[Entry]:
        path = _joined(self._path, folder)
        for file in self._listing(path):
            below = _joined(folder, addresses.last(str(file["path"])))
            if file.get("is_dir"):
                yield from self._below(below)
            else:
                yield Entry(below, int(file["file_size"]) if file.get("file_size") is not None else None)

    def _listing(self, path: str) -> Sequence[Mapping[str, Any]]:
        asked = WebFile(
            f"{self._base}?{urlencode({'path': path})}",
            self.spoken,
            self._headers,
            self._opening.stall_seconds,
            _ACCESS,
        )
        try:
            files = json.loads(b"".join(asked.read(0, None))).get("files") or []
            return [file for file in files if file["path"]]
        except (ValueError, AttributeError, KeyError, TypeError):
            raise SourceError(f"{self.spoken}: what {self._base} answers is no list of artifacts") from None

    def _file(self, path: str) -> WebFile:
        return WebFile(
            f"{self._base}/{quote(_joined(self._path, path))}",
            _joined(self.spoken, path),
            self._headers,
            self._opening.stall_seconds,
            _ACCESS,
        )


def _joined(first: str, second: str) -> str:
    return "/".join(part for part in (first.rstrip("/"), second) if part)


def _authorization(tracking: str, opening: Opening) -> Mapping[str, str]:
    """As MLflow's own client: name and password, else a token."""
    parts = addresses.split(tracking)
    name = opening.get("MLFLOW_TRACKING_USERNAME") or unquote(parts.username or "")
    password = opening.get("MLFLOW_TRACKING_PASSWORD") or unquote(parts.password or "")
    if name and password:
        return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}
    token = opening.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}
