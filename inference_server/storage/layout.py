"""Where a model lies, as in Azure's containers: `<root>/azureml-models/<name>/<version>`."""

from __future__ import annotations

import os
import re

MODELS = "azureml-models"
_MODEL_FOLDER = re.compile(rf"(?:^|.*[/\\]){MODELS}[/\\][^/\\]+[/\\][^/\\]+[/\\]?")


def model_folder(root: str, name: str, version: str | int) -> str:
    """The folder of a model, which AZUREML_MODEL_DIR names and the storage initializer is given as a destination.

    A model that is a file lies directly inside; one that is a folder keeps its last element there. Raises ValueError
    for a name or version that is no name of a folder.
    """
    for part in (name, str(version)):
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            raise ValueError(f"{part!r} is no name or version of a model: it becomes the name of a folder")
    return os.path.join(root, MODELS, name, str(version))


def is_model_folder(path: str) -> bool:
    """Whether a destination is the folder of a model in that layout."""
    return _MODEL_FOLDER.fullmatch(path) is not None
