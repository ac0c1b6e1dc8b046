"""Who installs: uv, else Python's own venv and pip; a conda program where conda's packages are asked for.

Each says which commands make an environment; `build` runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inference_server.environments import conda_file, indexes
from inference_server.environments.cache import interpreter_in
from inference_server.environments.definition import Definition
from inference_server.environments.interpreters import find
from inference_server.environments.python_versions import Minor, shown

ASKED = "asked.txt"  # the lines for pip or uv; removed once they are installed, since addresses may hold passwords
CONDA_ASKED = "asked.yml"
# Empty: uv looks for settings in the folder it runs in and in all above it, and a project's (its overrides, its indexes)
# around the cache are none of the definition's.
UV_SETTINGS = "uv.toml"
TEMPORARY = "temporary"  # removed with the rest, whatever ends the installer
CONDA_PROGRAMS = ("micromamba", "mamba", "conda")
# Would have a package installed elsewhere, or another Python taken.
_MISLEADING = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PIP_PREFIX",
    "PIP_REQUIREMENT",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_TARGET",
    "PIP_USER",
    "UV_PREFIX",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "VIRTUAL_ENV",
)
# How uv says what pip says; None: it has nothing to say.
_UV_WORDS = {
    "--pre": ("--prerelease", "allow"),
    "--prefer-binary": (),
    "--require-hashes": ("--require-hashes",),
    "--trusted-host": ("--allow-insecure-host",),
}
_ON_COMMAND_LINE = ("--pre", "--prefer-binary", "--require-hashes", "--trusted-host")


@dataclass(frozen=True)
class Command:
    """One program to run, and what a person is told while it runs."""

    doing: str
    words: tuple[str, ...]
    brief: bool = False  # takes no time worth speaking of


@dataclass(frozen=True)
class Site:
    """Where an environment is made, and of what."""

    folder: Path  # the environment's own in the cache; the commands run in it
    prefix: str
    definition: Definition
    minor: Minor
    environ: Mapping[str, str]
    given: str = ""  # the interpreter to make it of; "": one that is found
    compile: bool = False  # have all modules compiled now, not when they are first imported


class Installer(Protocol):
    """One way to make an environment."""

    @property
    def name(self) -> str:
        """The program, as people know it."""

    def commands(self, site: Site) -> Sequence[Command]:
        """What to run, in this order; writes the files they need. Raises EnvironmentFailed, OSError."""


@dataclass(frozen=True)
class Uv:
    """A virtual environment made and filled by uv."""

    program: str
    name: str = "uv"

    def commands(self, site: Site) -> Sequence[Command]:
        base = find(site.minor, site.environ, site.given)
        (site.folder / UV_SETTINGS).touch()
        venv = (self.program, "venv", "--python", base.path, site.prefix)
        make = Command("making a virtual environment", venv, brief=True)
        definition = site.definition
        pip = () if indexes.has_own(site.environ) else indexes.of_pip(site.environ)
        options = (*pip, *definition.options)
        _write_asked(site, options)
        words = [self.program, "pip", "install", "--python", interpreter_in(site.prefix), "-r", ASKED]
        for name, value in options:
            if name in _ON_COMMAND_LINE:
                words += [*_UV_WORDS[name], *([value] if value else [])]
        if (
            any(name == "--extra-index-url" for name, _ in options)
            and "UV_INDEX_STRATEGY" not in site.environ
        ):
            words += [
                "--index-strategy",
                "unsafe-best-match",
            ]  # as pip does, whose language these options are
        if site.compile:
            words.append("--compile-bytecode")
        return (make, Command("installing packages", tuple(words))) if definition.requirements else (make,)


@dataclass(frozen=True)
class Pip:
    """A virtual environment made by Python's own venv, filled by its pip."""

    name: str = "pip"

    def commands(self, site: Site) -> Sequence[Command]:
        base = find(site.minor, site.environ, site.given)
        make = Command("making a virtual environment", (base.path, "-m", "venv", site.prefix))
        _write_asked(site, site.definition.options)
        words = [interpreter_in(site.prefix), "-m", "pip", "install", "--no-input", "-r", ASKED]
        for name, value in site.definition.options:
            if name in _ON_COMMAND_LINE:
                words += [name, *([value] if value else [])]
        if not site.compile:
            words.append("--no-compile")
        return (
            (make, Command("installing packages", tuple(words))) if site.definition.requirements else (make,)
        )


@dataclass(frozen=True)
class Conda:
    """A conda environment; its program installs the pip section too."""

    program: str

    @property
    def name(self) -> str:
        return Path(self.program).stem

    def commands(self, site: Site) -> Sequence[Command]:
        file = site.folder / CONDA_ASKED
        content = conda_file.written(site.definition, shown(site.minor))
        _write_private(file, json.dumps(content, indent=2) + "\n")
        create = ("create", "-y") if self.name == "micromamba" else ("env", "create")
        words = (self.program, *create, "-p", site.prefix, "-f", str(file))
        return (Command("making a conda environment", words),)


def conda_program(environ: Mapping[str, str]) -> str:
    """The path of micromamba, mamba or conda; "" where there is none."""
    path = environ.get("PATH")
    for name in CONDA_PROGRAMS:
        if found := shutil.which(name, path=path):
            return found
    for variable in ("MAMBA_EXE", "CONDA_EXE"):
        named = environ.get(variable, "")
        if named and os.access(named, os.X_OK):
            return named
    return ""


def of_python(environ: Mapping[str, str]) -> Installer:
    """uv where it is: on the command path, beside the server's Python, or where its installer puts it; else pip."""
    home = environ.get("HOME") or os.path.expanduser("~")
    places = (None, os.path.dirname(sys.executable), os.path.join(home, ".local", "bin"))
    for place in places:
        if found := shutil.which("uv", path=environ.get("PATH") if place is None else place):
            return Uv(found)
    return Pip()


def environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables an installer runs with: nothing in them leads it elsewhere, and it writes plain text."""
    kept = {name: value for name, value in environ.items() if name not in _MISLEADING}
    (folder / TEMPORARY).mkdir(exist_ok=True)
    kept["TMPDIR"] = kept["TEMP"] = kept["TMP"] = str(folder / TEMPORARY)
    certificates = indexes.certificates_of_pip(environ)
    if certificates and os.path.isfile(certificates):
        kept.setdefault("SSL_CERT_FILE", certificates)
    return {
        **kept,
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_NO_PROJECT": "1",
        "PWD": str(folder),
    }


def _write_asked(site: Site, options: indexes.Options) -> None:
    """The lines that are installed, with the options that both pip and uv read from a file."""
    lines = []
    for name, value in options:
        if name == "--constraint":
            lines.append(f"-c {value}")
        elif name not in _ON_COMMAND_LINE:
            lines.append(f"{name} {value}".strip())
    if site.definition.constraints:
        constraints = site.folder / f"constraints-{ASKED}"
        constraints.write_text("\n".join(site.definition.constraints) + "\n")
        lines.append(f"-c {constraints.name}")
    lines += site.definition.requirements
    _write_private(site.folder / ASKED, "\n".join(lines) + "\n")


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
