"""deployment.yml as a recipe: the fields that decide what an image holds."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference_server.definitions import AssetReference, DefinitionError, InlineEnvironment, read_deployment
from inference_server.environments import definition as definitions
from inference_server.environments.definition import Definition
from inference_server.environments.errors import BadDefinition
from inference_server.packing.dockerfile import APP
from inference_server.packing.recipe import (
    MODELS,
    Model,
    Recipe,
    base_for,
    folder_of,
    notes_on_secrets,
    sorted_variables,
    tag_from,
)

# Images of Azure ML bring Microsoft's server and a conda of their own: ours takes their place.
_AZURES = re.compile(r"(?:.*/)?azureml/[^/]+$")


class DeploymentFile:
    """One deployment.yml. `recipe` is all that is asked of it."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises DefinitionError."""
        self.path = path
        self.notes: list[str] = []
        self._read = read_deployment(path, overrides=None, complete=False)
        self._made = self._read.made

    def recipe(self, base: str = "", tag: str = "", requirements: str = "") -> Recipe:
        """What the image is made of; what is given here wins over the file. Raises PackingError, DefinitionError."""
        code, script = self._code()
        name, endpoint = self._made.name, self._made.endpoint_name
        image, wanted = self._environment()
        if requirements:
            wanted = read_definition(requirements)
        where = str(self._read.places.get(("environment_variables",), self.path))
        variables, left_out = sorted_variables(
            self._made.environment_variables, f"{where}: environment_variables"
        )
        model, model_folder = self._model()
        notes = [*self.notes, *(wanted.notes if wanted else ()), *notes_on_secrets(left_out)]
        labels = {"azmlinfsrv.deployment": name, "azmlinfsrv.endpoint": endpoint}
        return Recipe(
            source=self.path.name,
            tag=tag or tag_from(endpoint, name),
            base=base or image or base_for(wanted),
            code=code,
            script=script,
            model=model,
            model_folder=model_folder,
            definition=wanted,
            variables=variables,
            labels=tuple((key, value) for key, value in sorted(labels.items()) if value),
            left_out=left_out,
            notes=tuple(dict.fromkeys(notes)),
        )

    def _code(self) -> tuple[Path, str]:
        code = self._made.code_configuration
        if code is None or code.code is None:
            raise self._error(
                (),
                "has no code_configuration: only deployments with a scoring script are packed "
                "(code_configuration: {code: ., scoring_script: score.py})",
            )
        return code.code, os.path.normpath(code.scoring_script).replace(os.sep, "/")

    def _model(self) -> tuple[Model | None, str]:
        """The model to copy, if it lies here; and its folder below the app root, if the deployment has one."""
        model = self._made.model
        if model is None:
            return None, ""
        reference = isinstance(model, AssetReference)
        name, version = ("", "") if isinstance(model, AssetReference) else (model.name, model.version)
        path = model.text if isinstance(model, AssetReference) else model.path
        if isinstance(path, Path):
            found = model_at(path, name, version)
            return found, found.folder
        folder = folder_of(name, version or "1") if name and not reference else ""
        self.notes.append(
            f"the model {path} does not lie on this machine and is not put into the image: have it fetched into "
            f"{APP}/{folder or MODELS} before the server starts (azmlinfsrv storage-initializer)"
        )
        return None, folder

    def _environment(self) -> tuple[str, Definition | None]:
        """An image to build on, and packages; what is not said is "" or None."""
        environment = self._made.environment
        if environment is None:
            return "", None
        if isinstance(environment, AssetReference):
            self.notes.append(
                f"the environment {environment} is kept by a workspace, nothing of it is installed: "
                "name its packages with --requirements, or its image with --base"
            )
            return "", None
        if environment.inference_config is not None:
            raise self._error(
                ("environment", "inference_config"),
                "the image is a server of its own, there is nothing to pack: run it as it is",
            )
        if environment.build is not None:
            raise self._error(
                ("environment", "build"),
                "build that image first, then name it as environment.image or with --base",
            )
        image = environment.image
        if image and _AZURES.match(image.partition(":")[0].partition("@")[0]):
            self.notes.append(
                f"{image} brings Microsoft's server: ours takes its place (--base names another)"
            )
            image = ""
        return image, self._packages(environment)

    def _packages(self, environment: InlineEnvironment) -> Definition | None:
        conda = environment.conda_file
        if conda is None:
            return None
        return self._inline(conda) if isinstance(conda, Mapping) else read_definition(str(conda))

    def _inline(self, conda: Mapping[str, Any]) -> Definition:
        with tempfile.TemporaryDirectory(prefix="azmlinfsrv-build-") as folder:
            inline = Path(folder, "conda.yml")
            inline.write_text(json.dumps(conda), encoding="utf-8")  # JSON is YAML, too
            try:
                return definitions.read(str(inline), os.environ)
            except BadDefinition as error:
                text = re.sub(r"^" + re.escape(str(inline)) + r"(:\d+)?: ", "", error.summary)
                raise self._error(("environment", "conda_file"), text) from None

    def _error(self, field: tuple[str, ...], message: str) -> DefinitionError:
        return self._read.error(field, message)


def model_at(path: Path, name: str = "", version: str = "") -> Model:
    """A model by its path. `name`, `version`: made from the path, and 1, where they are not given."""
    plain = (
        re.sub(r"[^A-Za-z0-9._-]+", "-", name or path.resolve().name.partition(".")[0]).strip("-.") or "model"
    )
    return Model(path, plain, re.sub(r"[^A-Za-z0-9._-]+", "-", version) or "1")


def read_definition(path: str) -> Definition:
    """The packages that a requirements.txt, conda file or pyproject.toml names. Raises EnvironmentFailed."""
    return definitions.read(path, os.environ)
