"""What a definition file asks for, in one shape whatever the file is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from inference_server.environments.errors import BadDefinition

CONDA_ENDINGS = (".yml", ".yaml")


@dataclass(frozen=True)
class Definition:
    """One definition file and all it refers to, read and checked; nothing is installed yet."""

    source: str  # the file's path
    kind: str  # for people: "conda file", "requirements", "pyproject"
    python: str = ""  # the versions it allows, as it says it: "3.9", ">=3.9,<3.12"; "": any
    requirements: tuple[str, ...] = ()  # lines for pip or uv; paths in them are absolute
    constraints: tuple[str, ...] = ()  # lines, as above
    options: tuple[
        tuple[str, str], ...
    ] = ()  # pip's options by their long names, with "" where there is no value
    channels: tuple[str, ...] = ()  # of a conda file
    conda_packages: tuple[str, ...] = ()  # of a conda file, in conda's words; none of them is Python or pip
    translated: tuple[str, ...] = ()  # names in `requirements` that stand for conda packages
    files: tuple[str, ...] = ()  # every file that was read
    local: tuple[str, ...] = ()  # files and folders that are installed from this machine
    notes: tuple[str, ...] = field(default=(), compare=False)  # what a person should know, one sentence each


def read(path: str, environ: Mapping[str, str], with_conda: bool = False) -> Definition:
    """The definition in a file, which is told by its name. Raises BadDefinition.

    `with_conda`: a conda program is there, so packages of a conda file stay what they are; otherwise they are translated
    into those of the Python index.
    """
    from inference_server.environments import conda_file, pyproject, requirements

    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise BadDefinition(path, 0, "there is no such file")
    name = os.path.basename(path).lower()
    if name.endswith(CONDA_ENDINGS):
        return conda_file.read(path, with_conda)
    if name.endswith(".toml"):
        return pyproject.read(path)
    if name.endswith((".txt", ".in")):
        return requirements.read(path)
    raise BadDefinition(
        path, 0, "is neither a conda file (.yml, .yaml) nor a requirements.txt nor a pyproject.toml"
    )


def text_of(path: str, line_of: tuple[str, int] | None = None) -> str:
    """The text of a file. `line_of`: the file and line that names it. Raises BadDefinition."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise BadDefinition(path, 0, f"is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        named_in, line = line_of or (path, 0)
        raise BadDefinition(named_in, line, f"{path} cannot be read: {error.strerror}") from None
