"""What an image is made of, whatever file said so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inference_server import __version__
from inference_server.environments.definition import Definition
from inference_server.environments.python_versions import Wanted
from inference_server.errors import InferenceServerError

IMAGE = "azmlinfsrv"
MODELS = "azureml-models"
PYTHONS = tuple((3, minor) for minor in range(10, 15))  # what our images are made for
_NEWEST_MINOR = 30  # versions of Python are tried up to this one
_WORDS_OF_SECRETS = frozenset(
    [
        "KEY",
        "APIKEY",
        "SECRET",
        "TOKEN",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "CREDENTIAL",
        "CREDENTIALS",
        "SAS",
    ]
)
_REFERENCE = re.compile(r"\$\{\{.*\}\}", re.DOTALL)
_IMAGE = re.compile(r"[A-Za-z0-9][\w.:/@+-]*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class PackingError(InferenceServerError):
    """No image can be made: the text says what is wrong, where, and what to do."""


def folder_of(name: str, version: str) -> str:
    """Where a model of that name and version is below the app root, as in Azure's containers."""
    return f"{MODELS}/{name}/{version}"


@dataclass(frozen=True)
class Model:
    """A model that goes into the image."""

    path: Path
    name: str
    version: str

    @property
    def folder(self) -> str:
        """Where it is below the app root."""
        return folder_of(self.name, self.version)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the image holds."""

    source: str  # the file it comes from, for people
    tag: str
    base: str
    code: Path  # a folder
    script: str  # relative to it, with slashes
    model: Model | None = None
    model_folder: str = (
        ""  # where the model is below the app root: copied, or fetched before the server starts
    )
    definition: Definition | None = None  # what `pip install` gets
    variables: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()  # variables that must be given when the image is run
    notes: tuple[str, ...] = field(default=(), compare=False)  # what a person should know, one sentence each

    def __post_init__(self) -> None:
        """Raises PackingError for names of images that no engine would take, before anything is written."""
        for image in (self.tag, self.base):
            if not _IMAGE.fullmatch(image):
                raise PackingError(
                    f"{image!r} is no name of an image: write one such as iris:7 or host:5000/team/iris:7"
                )

    @property
    def pythons(self) -> tuple[tuple[int, int], ...]:
        """The Pythons that the packages may be installed for; (): any."""
        wanted = self.definition.python if self.definition else ""
        return _allowed(wanted) if wanted else ()


def base_for(definition: Definition | None) -> str:
    """Our image with the Python that `definition` asks for. Raises PackingError where there is none."""
    if definition is None or not definition.python:
        return f"{IMAGE}:{__version__}"
    allowed = [python for python in _allowed(definition.python) if python in PYTHONS]
    if not allowed:
        oldest, newest = (".".join(map(str, python)) for python in (PYTHONS[0], PYTHONS[-1]))
        raise PackingError(
            f"{definition.source} asks for Python {definition.python}; the images have {oldest} to {newest}: name one "
            "with --base whose AZMLINFSRV_PYTHON is that Python (docs/images.md shows how to make it)"
        )
    default = (3, 11)
    chosen = default if default in allowed else allowed[-1]
    return f"{IMAGE}:{__version__}-py{chosen[0]}.{chosen[1]}"


def tag_from(*parts: str) -> str:
    """A name that every engine takes: small letters, digits, inner dashes and dots."""
    name = "-".join(part for part in parts if part).lower()
    return (re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "model") + ":latest"


def sorted_variables(
    given: Mapping[str, str], where: str
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The variables for the image, and the names of those that look like secrets and stay out of it.

    A reference to a secret is no secret, and goes in. Raises PackingError.
    """
    kept, left_out = [], []
    for name, value in sorted(given.items()):
        if not _VARIABLE.fullmatch(name):
            raise PackingError(f"{where}: {name!r} is no name of a variable")
        if "\n" in value or "\0" in value:
            raise PackingError(
                f"{where}: {name} has several lines; leave it out here and give it when the image is run"
            )
        secret = (
            _WORDS_OF_SECRETS.intersection(name.upper().split("_")) or "CONNECTION_STRING" in name.upper()
        )
        if secret and value and not _REFERENCE.search(value):
            left_out.append(name)
        else:
            kept.append((name, value))
    return tuple(kept), tuple(left_out)


def notes_on_secrets(left_out: Iterable[str]) -> list[str]:
    """What to say of variables that stay out."""
    return [
        f"{name} looks like a secret and is not put into the image, where everybody could read it: "
        f"give it when it is run (-e {name}), or write a reference (${{{{keyvault:…}}}})"
        for name in left_out
    ]


def _allowed(versions: str) -> tuple[tuple[int, int], ...]:
    wanted = Wanted(versions)
    return tuple((3, minor) for minor in range(8, _NEWEST_MINOR) if wanted.allows((3, minor)))
