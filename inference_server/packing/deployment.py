"""deployment.yml as a recipe: the fields that decide what an image holds, each error with its line."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from inference_server.environments import definition as definitions
from inference_server.environments.definition import Definition
from inference_server.environments.errors import BadDefinition
from inference_server.packing.dockerfile import APP
from inference_server.packing.recipe import (
    MODELS,
    Model,
    PackingError,
    Recipe,
    base_for,
    folder_of,
    notes_on_secrets,
    sorted_variables,
    tag_from,
)

_NO_YAML = "reading deployment.yml needs PyYAML: pip install 'azmlinfsrv[env]'"
_PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}|<[A-Z][A-Z_]+>")
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://|azureml:")
# Images of Azure ML bring Microsoft's server and a conda of their own: ours takes their place.
_AZURES = re.compile(r"(?:.*/)?azureml/[^/]+$")


class DeploymentFile:
    """One deployment.yml. `recipe` is all that is asked of it."""

    def __init__(self, path: Path) -> None:
        """Read and parse. Raises PackingError."""
        self.path = path
        self.notes: list[str] = []
        self.lines: dict[str, int] = {}
        root = _composed(path)
        self.content = self._plain(root, "")
        if not isinstance(self.content, dict):
            raise PackingError(
                f"{path}: is no deployment: expects fields such as name and code_configuration"
            )

    def recipe(self, base: str = "", tag: str = "", requirements: str = "") -> Recipe:
        """What the image is made of; what is given here wins over the file. Raises PackingError."""
        code, script = self._code()
        name, endpoint = self._text("name"), self._text("endpoint_name")
        image, wanted = self._environment()
        if requirements:
            wanted = read_definition(requirements)
        variables, left_out = sorted_variables(
            self._texts("environment_variables"), self._at("environment_variables")
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

    # ------------------------------------------------------------ fields

    def _code(self) -> tuple[Path, str]:
        if self._value("code_configuration") is None:
            raise self._error(
                "",
                "has no code_configuration: only deployments with a scoring script are packed "
                "(code_configuration: {code: ., scoring_script: score.py})",
            )
        script = self._text("code_configuration.scoring_script")
        if not script:
            raise self._error("code_configuration", "names no scoring_script")
        folder = self._located("code_configuration.code", self._text("code_configuration.code") or ".")
        if not folder.is_dir():
            raise self._error("code_configuration.code", f"{folder} is no folder")
        inside = os.path.normpath(script)
        if os.path.isabs(inside) or inside.startswith(os.pardir):
            raise self._error(
                "code_configuration.scoring_script", f"{script} lies outside of the code folder"
            )
        if not (folder / inside).is_file():
            raise self._error("code_configuration.scoring_script", f"there is no {script} in {folder}")
        return folder, inside.replace(os.sep, "/")

    def _model(self) -> tuple[Model | None, str]:
        """The model to copy, if it lies here; and its folder below the app root, if the deployment has one."""
        model = self._value("model")
        field = "model" if isinstance(model, str) else "model.path"
        path = self._text(field)
        if model is None:
            return None, ""
        if not path:
            raise self._error("model", "names no path")
        name = "" if isinstance(model, str) else self._text("model.name")
        version = "" if isinstance(model, str) else self._text("model.version")
        if not _REMOTE.match(path):
            found = model_at(self._located(field, path), name, version)
            return found, found.folder
        folder = folder_of(name, version or "1") if name else ""
        self.notes.append(
            f"the model {path} does not lie on this machine and is not put into the image: have it fetched into "
            f"{APP}/{folder or MODELS} before the server starts (azmlinfsrv storage-initializer)"
        )
        return None, folder

    def _environment(self) -> tuple[str, Definition | None]:
        """An image to build on, and packages; what is not said is "" or None."""
        environment = self._value("environment")
        if isinstance(environment, str):
            self.notes.append(
                f"the environment {environment} is kept by a workspace, nothing of it is installed: "
                "name its packages with --requirements, or its image with --base"
            )
            return "", None
        if environment is None:
            return "", None
        if self._value("environment.inference_config") is not None:
            raise self._error(
                "environment.inference_config",
                "the image is a server of its own, there is nothing to pack: run it as it is",
            )
        if self._value("environment.build") is not None:
            raise self._error(
                "environment.build",
                "build that image first, then name it as environment.image or with --base",
            )
        image = self._text("environment.image")
        if image and _AZURES.match(image.partition(":")[0].partition("@")[0]):
            self.notes.append(
                f"{image} brings Microsoft's server: ours takes its place (--base names another)"
            )
            image = ""
        return image, self._packages()

    def _packages(self) -> Definition | None:
        conda = self._value("environment.conda_file")
        if conda is None:
            return None
        if isinstance(conda, str):
            return read_definition(str(self._located("environment.conda_file", conda)))
        with tempfile.TemporaryDirectory(prefix="azmlinfsrv-build-") as folder:
            inline = Path(folder, "conda.yml")
            inline.write_text(json.dumps(conda), encoding="utf-8")  # JSON is YAML, too
            try:
                return definitions.read(str(inline), os.environ)
            except BadDefinition as error:
                text = re.sub(r"^" + re.escape(str(inline)) + r"(:\d+)?: ", "", error.summary)
                raise self._error("environment.conda_file", text) from None

    # ------------------------------------------------------------ reading

    def _value(self, field: str) -> Any:
        found: Any = self.content
        for part in field.split("."):
            if not isinstance(found, dict):
                return None
            found = found.get(part)
        return found

    def _text(self, field: str) -> str:
        value = self._value(field)
        if value is None:
            return ""
        if isinstance(value, (dict, list)):
            raise self._error(field, "expects one text")
        text = _scalar(value)
        if _PLACEHOLDER.search(text):
            raise self._error(field, f"{text} is a placeholder: put in what it stands for")
        return text

    def _texts(self, field: str) -> dict[str, str]:
        value = self._value(field)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._error(field, "expects names and values, one pair a line")
        for name, item in value.items():
            if isinstance(item, (dict, list)):
                raise self._error(f"{field}.{name}", "expects one text")
        return {str(name): _scalar(item) for name, item in value.items() if item is not None}

    def _located(self, field: str, text: str) -> Path:
        """A path of the file, from the folder that the file lies in."""
        path = Path(os.path.normpath(self.path.parent / text))
        if not path.exists():
            raise self._error(field, f"{text} does not exist (looked for {path})")
        return path

    def _at(self, field: str) -> str:
        line = self.lines.get(field)
        return f"{self.path}:{line}: {field}" if line else f"{self.path}"

    def _error(self, field: str, message: str) -> PackingError:
        where = self._at(field)
        return PackingError(f"{where}: {message}")

    def _plain(self, node: Any, field: str) -> Any:
        """A node's value; the lines of all fields are kept on the way."""
        import yaml

        if node is None:
            return None
        if field:
            self.lines.setdefault(field, node.start_mark.line + 1)
        if node.id == "mapping":
            result: dict[str, Any] = {}
            for key, value in node.value:
                if key.id != "scalar":
                    where = f"{self.path}:{key.start_mark.line + 1}: {field + ': ' if field else ''}"
                    raise PackingError(
                        f"{where}expects a name before the colon; {{{{…}}}} is a placeholder: put in what it stands for"
                    )
                inner = f"{field}.{key.value}" if field else str(key.value)
                self.lines[inner] = key.start_mark.line + 1
                if key.value in result:
                    raise self._error(inner, "stands here twice")
                result[str(key.value)] = self._plain(value, inner)
            return result
        if node.id == "sequence":
            return [self._plain(item, f"{field}[{number}]") for number, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:null":
            return None
        if node.tag == "tag:yaml.org,2002:bool":
            return bool(yaml.SafeLoader.bool_values[node.value.lower()])
        return str(node.value)  # numbers stay as they are written: a version 1.10 is not 1.1


def model_at(path: Path, name: str = "", version: str = "") -> Model:
    """A model by its path. `name`, `version`: made from the path, and 1, where they are not given."""
    plain = (
        re.sub(r"[^A-Za-z0-9._-]+", "-", name or path.resolve().name.partition(".")[0]).strip("-.") or "model"
    )
    return Model(path, plain, re.sub(r"[^A-Za-z0-9._-]+", "-", version) or "1")


def read_definition(path: str) -> Definition:
    """The packages that a requirements.txt, conda file or pyproject.toml names. Raises EnvironmentFailed."""
    return definitions.read(path, os.environ)


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _composed(path: Path) -> Any:
    """The tree of a YAML file, whose nodes know their lines. Raises PackingError."""
    try:
        import yaml
    except ImportError:
        raise PackingError(_NO_YAML) from None
    try:
        return yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise PackingError(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise PackingError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PackingError(f"{path}:{mark.line + 1 if mark else 1}: is no YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise PackingError(f"{path}: is no YAML: {str(error).splitlines()[0]}") from None
