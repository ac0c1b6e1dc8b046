"""From `azureml:NAME:VERSION` and its like to what a deployment runs on: the one place where references are looked up."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from inference_server.definitions.references import AssetReference, reference
from inference_server.platform.curated import conda_of, curated
from inference_server.platform.errors import NotFound, Refused, StateUnusable
from inference_server.platform.registry import ENVIRONMENT, MODEL, Asset, Key, Registry
from inference_server.platform.snapshots import is_whole
from inference_server.platform.store import Store
from inference_server.storage.errors import cannot_write

AZURES_REGISTRY = "azureml"  # holds the curated environments


@dataclass(frozen=True)
class RegisteredModel:
    """A model that a deployment names."""

    name: str
    version: str
    type: str  # custom_model, mlflow_model or triton_model
    folder: (
        Path  # what AZUREML_MODEL_DIR is: …/azureml-models/NAME/VERSION. Files in it are read-only and shared
    )
    path: Path  # the file or folder that was registered, in there
    note: str = ""  # what a person should know; "": nothing


@dataclass(frozen=True)
class RegisteredEnvironment:
    """An environment that a deployment names. Each of its parts may be missing: "" or None."""

    name: str
    version: str
    image: str
    conda_file: Path | None
    build: Path | None  # the folder of the Dockerfile
    dockerfile_path: str  # from there
    inference_config: Mapping[str, Any]  # {}: none
    note: str = ""  # what a person should know; "": nothing


@overload
def resolve(store: Store, asked: str | AssetReference, kind: Literal["model"]) -> RegisteredModel: ...
@overload
def resolve(
    store: Store, asked: str | AssetReference, kind: Literal["environment"]
) -> RegisteredEnvironment: ...
def resolve(store: Store, asked: str | AssetReference, kind: str) -> RegisteredModel | RegisteredEnvironment:
    """What a reference names: azureml:NAME:VERSION, azureml:NAME@LABEL, azureml://registries/… and ids of a workspace.

    Raises NotFound, which says how to register it; Refused for a text that is no reference, and for a curated environment
    that cannot be had here; StateUnusable when its files are not what was registered.
    """
    if isinstance(asked, str):
        try:
            asked = reference(asked, kind)
        except ValueError as error:
            raise Refused(f"a reference to a registered {kind}: {error}") from None
    try:
        asset = _registered(Registry(store), asked, kind)
    except NotFound as error:
        if kind == ENVIRONMENT and asked.registry in ("", AZURES_REGISTRY):
            found = _curated(store, asked)
            if found is not None:
                return found
        raise NotFound(f"{asked}: {error}; {_how_to_register(asked, kind)}") from None
    note = f"{asset} is archived" if asset.archived else ""
    return _model(asset, note) if kind == MODEL else _environment(asset, note)


def _registered(registry: Registry, asked: AssetReference, kind: str) -> Asset:
    return registry.find(Key(kind, asked.name, asked.registry), asked.version, asked.label)


def _how_to_register(asked: AssetReference, kind: str) -> str:
    version = f" -v {asked.version}" if asked.version else ""
    registry = f" --registry-name {asked.registry}" if asked.registry else ""
    made_of = "-p PATH" if kind == MODEL else "-c CONDA_FILE"
    return f"register it here: azmlinfsrv {kind} create -n {asked.name}{version}{registry} {made_of}"


def _model(asset: Asset, note: str) -> RegisteredModel:
    _check_files(asset)
    path = asset.folder / asset.facts["entry"]
    return RegisteredModel(asset.key.name, asset.version, asset.facts["type"], asset.folder, path, note)


def _environment(asset: Asset, note: str) -> RegisteredEnvironment:
    facts = asset.facts
    conda, dockerfile = facts.get("conda_name"), facts.get("dockerfile_path", "")
    if conda or dockerfile:
        _check_files(asset)
    return RegisteredEnvironment(
        asset.key.name,
        asset.version,
        facts["image"],
        asset.folder / conda if conda else None,
        asset.folder if dockerfile else None,
        dockerfile,
        facts.get("inference_config", {}),
        note,
    )


def _check_files(asset: Asset) -> None:
    if not is_whole(asset.folder):
        raise StateUnusable(
            f"{asset} is not what was registered: files in {asset.folder} were changed or removed; register them again as "
            "another version"
        )


def _curated(store: Store, asked: AssetReference) -> RegisteredEnvironment | None:
    """What stands for one of Azure's environments here; None: it is none. Raises Refused."""
    family = curated(asked.name)
    if family is None:
        return None
    if family.packages is None:
        raise Refused(
            f"{asked}: Azure's environment {asked.name} cannot be made here: {family.why_not}. Name in a conda file what "
            f"the script imports, and {_how_to_register(asked, ENVIRONMENT)}"
        )
    conda = conda_of(family, asked.name)
    file = store.home.folder / "curated" / f"{asked.name}.yml"
    _write(file, json.dumps(conda, indent=1) + "\n")
    packages = ", ".join(conda["dependencies"][-1]["pip"]) if family.packages else "no packages"
    python = str(conda["dependencies"][0]).replace("=", " ")
    note = f"Azure's image {asked.name} is not used: {python} with {packages} stands for it here"
    version = asked.version or asked.label
    return RegisteredEnvironment(asked.name, version, "", file, None, "", {}, note)


def _write(path: Path, text: str) -> None:
    """Have a file with this text, in one step."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made.write_text(text, "utf-8")
        made.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
