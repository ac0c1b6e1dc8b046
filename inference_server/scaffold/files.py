"""The files of a scaffold, and how they come to lie in a folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from inference_server.errors import InferenceServerError
from inference_server.scaffold import deployment
from inference_server.scaffold.inputs import Inputs, inputs_of
from inference_server.scaffold.model import Model, Unknown
from inference_server.scaffold.script import plain_script, script

_NO_NAMES = frozenset({"model", "models", "best", "final", "weights"})
SCRIPT, REQUEST = "score.py", "sample-request.json"


class FilesExist(InferenceServerError):
    """Files would be overwritten."""


def files_for(model: Model | None, folder: Path, name: str = "") -> dict[str, str]:
    """The text of each file, by its name; `name` is the endpoint's, made from the model's unless given."""
    inputs = inputs_of(Unknown() if model is None else model.takes)
    packages = _requirements(model, inputs) if model else ()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    endpoint = name or deployment.endpoint_name(_named_after(model, folder))
    path = _relative(model.path, folder) if model else ""
    return {
        SCRIPT: plain_script() if model is None else script(model, inputs, folder),
        REQUEST: json.dumps(inputs.request) + "\n",
        "requirements.txt": "".join(f"{line}\n" for line in packages),
        "endpoint.yml": deployment.endpoint(endpoint),
        "deployment.yml": deployment.deployment(endpoint, path, python, packages),
    }


def write(files: dict[str, str], folder: Path, force: bool = False) -> None:
    """Write all of them, or none: raises FilesExist where one is there already, unless `force`."""
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        verb = "is" if len(there) == 1 else "are"
        raise FilesExist(
            f"{', '.join(there)} {verb} there already in {folder}: choose another folder with --output, "
            "or overwrite with --force"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _named_after(model: Model | None, folder: Path) -> str:
    """The model's name, where it is one; else its folder's."""
    if model is None:
        return folder.resolve().name
    if model.stem.lower() not in _NO_NAMES:
        return model.stem
    return model.path.resolve().parent.name


def _requirements(model: Model, inputs: Inputs) -> tuple[str, ...]:
    """The model's own first; what only the script needs is added where no line names it."""
    found = list(model.requirements)
    named = {_package(line) for line in found}
    found += [line for line in inputs.requirements if _package(line) not in named]
    return tuple(found)


def _package(line: str) -> str:
    for at, character in enumerate(line):
        if character in "=<>!~[; ":
            return line[:at].lower().replace("_", "-")
    return line.lower().replace("_", "-")


def _relative(path: Path, folder: Path) -> str:
    try:
        return os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/")
    except ValueError:  # another drive
        return str(path.resolve())
