"""From what an asset's file or flags say to a version in the registry: its files are taken in first, as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_server.definitions import DefinitionError, written
from inference_server.definitions.model import MLFLOW, TRITON
from inference_server.definitions.tree import value_of
from inference_server.definitions.yaml_file import parsed
from inference_server.platform.asset_files import EnvironmentFile, ModelFile
from inference_server.platform.errors import Refused
from inference_server.platform.registry import ENVIRONMENT, MODEL, Asset, Key, New, Registry
from inference_server.platform.snapshots import Taking, digest, incoming, take_text
from inference_server.platform.store import Store
from inference_server.storage.layout import model_folder
from inference_server.storage.manifest import Manifest

CONDA_FILE = "conda.yml"  # of one that was written in place
DOCKERFILE = "Dockerfile"


@dataclass(frozen=True)
class Where:
    """What a version is registered as, beside its file: the registry, the label that moves to it, and what is only
    recorded."""

    registry: str = ""
    label: str = ""
    recorded: Mapping[str, str] | None = None  # resource group, workspace


def register_model(store: Store, asked: ModelFile, where: Where, taking: Taking) -> Asset:
    """Register a model. Raises what Registry.create and the storage initializer do, and Refused."""
    key = Key(MODEL, asked.name, where.registry)
    with incoming(store.home) as folder:
        staged = Path(
            model_folder(str(folder), asked.name, "new")
        )  # the layout decides where a folder lies in it
        manifest = taking.take(str(asked.path), staged)
        _check_type(asked.type, staged, manifest)
        facts = {
            "type": asked.type,
            "flavors": asked.flavors,
            "entry": _entry(manifest),
            "source": manifest.source,
            "recorded": dict(where.recorded or {}),
        }
        content = digest(manifest, [asked.type, asked.flavors])
        new = New(content, facts, _notes(asked), where.label, staged)
        return Registry(store).create(key, asked.version, new)


def register_environment(store: Store, asked: EnvironmentFile, where: Where, taking: Taking) -> Asset:
    """Register an environment. Raises as `register_model`."""
    if not (asked.image or asked.conda_file or asked.build):
        raise Refused(
            f"environment {asked.name!r} is made of nothing: give an image, a conda_file or a build context"
        )
    if asked.build and (asked.image or asked.conda_file):
        raise Refused(f"environment {asked.name!r} has a build context and an image or conda_file: keep one")
    key = Key(ENVIRONMENT, asked.name, where.registry)
    with incoming(store.home) as folder:
        staged = folder / "files"
        manifest = _files_of(asked, staged, taking)
        facts: dict[str, Any] = {"image": asked.image, "os_type": asked.os_type}
        if asked.conda_file is not None and manifest is not None:
            facts["conda_file"] = _conda(staged / manifest.members[0].path)
            facts["conda_name"] = manifest.members[0].path
        if asked.build is not None and manifest is not None:
            facts["dockerfile_path"] = asked.build.dockerfile_path
            if not (staged / asked.build.dockerfile_path).is_file():
                raise Refused(
                    f"{asked.build.path} holds no {asked.build.dockerfile_path}: give --dockerfile-path"
                )
        if asked.inference_config is not None:
            facts["inference_config"] = written(asked.inference_config)
        content = digest(manifest if asked.build else None, facts)
        facts["recorded"] = dict(where.recorded or {})
        new = New(content, facts, _notes(asked), where.label, staged if manifest else None)
        return Registry(store).create(key, asked.version, new)


def _files_of(asked: EnvironmentFile, staged: Path, taking: Taking) -> Manifest | None:
    if asked.build is not None:
        return taking.take(str(asked.build.path), staged)
    if isinstance(asked.conda_file, Mapping):
        return take_text(taking, CONDA_FILE, asked.conda_file, staged)
    return taking.take(str(asked.conda_file), staged) if asked.conda_file else None


def _conda(path: Path) -> Any:
    """What a conda file says. Raises DefinitionError."""
    node, problems = parsed(path)
    if problems:
        raise DefinitionError(problems)
    value = value_of(node) if node is not None else None
    if not isinstance(value, Mapping):
        raise Refused(f"{path.name} is no conda file: it expects `dependencies:` and a list below it")
    return value


def _check_type(kind: str, staged: Path, manifest: Manifest) -> None:
    """No-code models must be what their type says. Raises Refused."""
    entry = staged / _entry(manifest)
    if kind == MLFLOW and not (entry / "MLmodel").is_file():
        raise Refused(f"{manifest.source} is no mlflow_model: that is a folder with a file MLmodel in it")
    if kind == TRITON and not entry.is_dir():
        raise Refused(f"{manifest.source} is no triton_model: that is a folder, a model repository")


def _entry(manifest: Manifest) -> str:
    """The file or folder in the snapshot that was registered; "": the snapshot itself."""
    tops = {member.path.partition("/")[0] for member in manifest.members}
    return tops.pop() if len(tops) == 1 else ""


def _notes(asked: ModelFile | EnvironmentFile) -> dict[str, Any]:
    """What people may change later, as far as it is given."""
    values = {name: getattr(asked, name, None) for name in ("description", "stage", "tags", "properties")}
    return {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items() if value
    }
