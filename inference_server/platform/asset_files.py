"""Files of models and environments, as `-f` takes them: fields declared once, problems with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inference_server.definitions.declare import declared
from inference_server.definitions.environment import Build, InferenceConfig
from inference_server.definitions.errors import DefinitionError, Remark
from inference_server.definitions.groups import Group
from inference_server.definitions.kinds import Choice, FileOrInline, LocalPath, MapOf, Text
from inference_server.definitions.model import CUSTOM, NO_CODE
from inference_server.definitions.overrides import applied, put
from inference_server.definitions.reading import Reading
from inference_server.definitions.tree import Place, Scalar, Steps, Table, tree_of
from inference_server.definitions.yaml_file import parsed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
Made = TypeVar("Made")


def wrong_with_name(name: str) -> str:
    """What is wrong with the name or version of an asset; "": nothing."""
    if _NAME.fullmatch(name):
        return ""
    return f"got {name[:60]!r}, write a letter or digit, then letters, digits, _ . and -, 255 at most"


@dataclass(frozen=True)
class ModelFile:
    """A model to register."""

    schema: str = declared("", Text(free=True), "For editors only.", key="$schema")
    name: str = declared("", Text(check=wrong_with_name), "Its name.", required=True)
    version: str = declared(
        "", Text(check=wrong_with_name), "Its version.", default_text="one more than the last"
    )
    path: Path | str = declared("", LocalPath(remote=True), "A file, a folder, or an address.", required=True)
    type: str = declared(CUSTOM, Choice((CUSTOM, *NO_CODE)), "What it is.")
    description: str = declared("", Text(free=True), "Your own words.")
    tags: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own labels.")
    properties: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own keys.")
    stage: str = declared("", Text(free=True), "How far it has come.")
    flavors: Mapping[str, Any] = declared(dict, MapOf(MapOf(Text(free=True))), "Flavors of an MLflow model.")


@dataclass(frozen=True)
class EnvironmentFile:
    """An environment to register."""

    schema: str = declared("", Text(free=True), "For editors only.", key="$schema")
    name: str = declared("", Text(check=wrong_with_name), "Its name.", required=True)
    version: str = declared(
        "", Text(check=wrong_with_name), "Its version.", default_text="one more than the last"
    )
    image: str = declared("", Text(), "The base image, or, with `inference_config`, the whole of it.")
    conda_file: Path | Mapping[str, Any] | None = declared(
        None, FileOrInline(LocalPath("file")), "Packages that the script needs, as a conda file has them."
    )
    build: Build | None = declared(None, Group(Build), "A folder with a Dockerfile, in place of an image.")
    inference_config: InferenceConfig | None = declared(
        None, Group(InferenceConfig), "Says that the image is a server of its own, and where it listens."
    )
    os_type: str = declared("linux", Choice(("linux", "windows")), "What the image is made for.")
    description: str = declared("", Text(free=True), "Your own words.")
    tags: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own labels.")
    properties: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own keys.")


def read_asset(
    made: type[Made], path: str | None, overrides: Iterable[str], given: Mapping[Steps, Any]
) -> tuple[Made, list[str]]:
    """A ModelFile or an EnvironmentFile, and notes on it, from a YAML file or from flags alone.

    `overrides`: what stands after --set. `given`: fields that flags name; they win over all. Relative paths start from
    the file's folder, without a file from the current one. Raises DefinitionError with all that is wrong.
    """
    source = path or "the flags"
    reading = Reading(source, Path(path).absolute().parent if path else Path.cwd())
    root = _root(path, source, reading)
    reading.problems += applied(root, tuple(overrides))
    for steps, value in given.items():
        put(root, steps, tree_of(value, Place(source)))
    reading.of(root)
    found = Group(made).read(root, (), reading)
    if reading.problems:
        raise DefinitionError(reading.problems)
    return found, [str(note) for note in reading.notes]


def _root(path: str | None, source: str, reading: Reading) -> Table:
    if path is None:
        return Table(Place(source))
    node, problems = parsed(Path(path))
    reading.problems += problems
    if node is None or (isinstance(node, Scalar) and node.is_null):
        return Table(Place(source))
    if not isinstance(node, Table):
        raise DefinitionError([Remark(source, "", "expects fields such as `name: …`, each on a line")])
    return node
