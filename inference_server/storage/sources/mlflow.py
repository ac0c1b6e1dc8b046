"""MLflow's own addresses: runs, registered and logged models, and artifacts that a tracking server hands out.

    runs:/RUN_ID/PATH
    models:/NAME/VERSION    models:/NAME@ALIAS    models:/NAME/latest    models:/MODEL_ID
    mlflow-artifacts:/PATH

The library says where the files lie (MLFLOW_TRACKING_URI, MLFLOW_REGISTRY_URI); they are then read from there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from inference_server.storage.opening import Opening, library
from inference_server.storage.source import Buffer, Cut, Entry, Source, SourceError
from inference_server.storage.sources import address as addresses

SCHEMES = ("runs", "models", "mlflow-artifacts")
_RUN = re.compile(r"runs:/+(?P<run>[^/]+)(?:/(?P<path>.*))?", re.DOTALL)
_MODEL = re.compile(
    r"models:/+(?P<name>[^/@]+)(?:@(?P<alias>[^/]+)|/(?P<version>[^/]+))?(?:/(?P<path>.*))?", re.DOTALL
)
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_MOST_STEPS = 5  # from a registered model to a logged one, to a run, to a store
# The library's own patience would come on top of the download's; and it would tell its makers that it was used.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def mlflow_source(address: str, opening: Opening) -> Source:
    """What lies at one of MLflow's addresses."""
    return MlflowSource(address, opening)


class MlflowSource:
    """Files that MLflow knows the place of; the place is asked for when they are listed."""

    def __init__(self, address: str, opening: Opening) -> None:
        self._address = address
        self._opening = opening
        self.spoken = addresses.spoken(address)
        model = _MODEL.fullmatch(address)
        path = (model["path"] or model["name"]) if model else address.partition(":")[2]
        self.name = addresses.last(path)
        self._source: Source | None = None

    @property
    def is_folder(self) -> bool | None:
        """Whether it is a folder; None before it was listed."""
        return self._source.is_folder if self._source else None

    @property
    def ranged(self) -> bool:
        """Whether read() can begin anywhere."""
        return self._source is not None and self._source.ranged

    def entries(self) -> Sequence[Entry]:
        """Every file, at the place they have now."""
        self.close()
        self._source = self._open(self._located())
        return self._source.entries()

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`."""
        if self._source is None:
            raise SourceError(f"{self.spoken} was closed")
        return self._source.read(entry, start, stop)

    def close(self) -> None:
        """Close what the files are read from."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _open(self, address: str) -> Source:
        if addresses.scheme(address) == "mlflow-artifacts":
            from inference_server.storage.sources.mlflow_artifacts import ArtifactSource

            return ArtifactSource(address, self.spoken, self._opening)
        from inference_server.storage.sources import open_source

        return open_source(address, self._opening.environ, self._opening.settings)

    def _located(self) -> str:
        """The address in a store."""
        address = self._address
        for _ in range(_MOST_STEPS):
            if addresses.scheme(address) not in ("runs", "models"):
                return address
            address = self._next(address)
        raise SourceError(f"{self.spoken} leads from one of MLflow's addresses to the next without an end")

    def _next(self, address: str) -> str:
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        library("mlflow", self.spoken, "mlflow")
        tracking: Any = library("mlflow.tracking", self.spoken, "mlflow")
        errors: Any = library("mlflow.exceptions", self.spoken, "mlflow")
        try:
            client = tracking.MlflowClient(
                self._opening.get("MLFLOW_TRACKING_URI") or None,
                self._opening.get("MLFLOW_REGISTRY_URI") or None,
            )
            return (
                self._of_run(client, address)
                if address.startswith("runs:")
                else self._of_model(client, address)
            )
        except errors.MlflowException as error:
            raise self._error(error) from None

    def _of_run(self, client: Any, address: str) -> str:
        match = _RUN.fullmatch(address)
        if match is None:
            raise SourceError(f"{self.spoken} names no run: runs:/RUN_ID/PATH is what one looks like")
        path = (match["path"] or "").strip("/")
        run = client.get_run(match["run"])
        first, _, rest = path.partition("/")
        for output in getattr(getattr(run, "outputs", None), "model_outputs", None) or ():
            model = client.get_logged_model(output.model_id)  # MLflow 3 keeps models beside their runs
            if model.name == first:
                return _below(model.artifact_location, rest)
        return _below(run.info.artifact_uri, path)

    def _of_model(self, client: Any, address: str) -> str:
        match = _MODEL.fullmatch(address)
        if match is None or not (match["alias"] or match["version"] or _MODEL_ID.fullmatch(match["name"])):
            raise SourceError(
                f"{self.spoken} names no model: models:/NAME/VERSION or models:/NAME@ALIAS is what one looks like"
            )
        name, path = match["name"], (match["path"] or "").strip("/")
        if _MODEL_ID.fullmatch(name) and hasattr(client, "get_logged_model"):  # since MLflow 3
            path = "/".join(part for part in (match["version"] or "", path) if part)
            return _below(client.get_logged_model(name).artifact_location, path)
        if not (match["alias"] or match["version"]):
            raise SourceError(f"{self.spoken} is a model of MLflow 3: pip install --upgrade mlflow-skinny")
        if match["alias"]:
            version = client.get_model_version_by_alias(name, match["alias"]).version
        else:
            version = self._version(client, name, match["version"])
        return _below(client.get_model_version_download_uri(name, version), path)

    def _version(self, client: Any, name: str, said: str) -> str:
        """The number of a version; `latest`, or a stage, is the newest of those."""
        if said.isdigit():
            return said
        quoted = name.replace("'", "''")
        found = [
            int(version.version)
            for version in client.search_model_versions(f"name='{quoted}'")
            if said.lower() in ("latest", version.current_stage.lower())
        ]
        if not found:
            raise SourceError(f"{self.spoken}: the model {name} has no version {said}")
        return str(max(found))

    def _error(self, error: Any) -> SourceError:
        code = getattr(error, "error_code", "")
        status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else 0
        where = (
            addresses.spoken(uri) if (uri := self._opening.get("MLFLOW_TRACKING_URI")) else "the local store"
        )
        if code == "RESOURCE_DOES_NOT_EXIST" or status == 404 or "not found" in str(error):
            return SourceError(f"{self.spoken}: {where} knows no such run, model, version or alias")
        if (
            code in ("UNAUTHENTICATED", "PERMISSION_DENIED")
            or status in (401, 403)
            or "error code 401" in str(error)
        ):
            return SourceError(
                f"{self.spoken} may not be read at {where}: set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD"
            )
        if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"):
            return SourceError(f"{self.spoken}: {where} takes it for no address of a run or model")
        return Cut(f"{self.spoken}: {where} cannot be asked now")


def _below(base: str, path: str) -> str:
    return f"{base.rstrip('/')}/{path}" if path else base
