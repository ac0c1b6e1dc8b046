"""A conda file: its Python, its conda packages, its pip section; every error with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from inference_server.environments.conda_names import NOT_PYTHON, PART_OF_PYTHON, RENAMED
from inference_server.environments.definition import Definition, text_of
from inference_server.environments.errors import BadDefinition, EnvironmentFailed
from inference_server.environments.requirements import SERVERS, Lines, canonical, definition

NO_YAML = "reading a conda file needs PyYAML: pip install 'azmlinfsrv[env]'"
REFUSED = "is a conda package without an equal on the Python index, and no conda, mamba or micromamba is installed here"
_KNOWN = {"name", "channels", "dependencies", "prefix", "variables", "platforms"}
_TOOLS = ("pip", "setuptools", "wheel")
_SPEC = re.compile(
    r"(?:(?P<channel>[^\s:\[]+(?:::|:))+)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)\s*"
    r"(?P<rest>\[[^\]]*\]|[=<>!~ \t].*)?"
)
_IN_BRACKETS = re.compile(r"version\s*=\s*(['\"]?)([^'\"\]]+)\1")
_PIECE = re.compile(
    r"(?P<op>===?|~=|!=|<=|>=|<|>)?\s*(?P<version>(?:\d+!)?\d[0-9A-Za-z.+_-]*?)(?P<any>\.?\*)?"
)


@dataclass(frozen=True)
class CondaPackage:
    """One line among the dependencies."""

    text: str  # as it is written
    name: str
    versions: str  # as pip writes it; "": any
    line: int


def read(path: str, with_conda: bool) -> Definition:
    """The definition in a conda file; see `definition.read`. Raises BadDefinition."""
    content = _File(path, text_of(path))
    python = "".join(package.versions for package in content.packages if package.name == "python")
    lines = Lines()
    for line, text in content.pip:
        lines.add(text, path, line)
    for name, text in content.notes:
        lines.notes.append(f"{path}: {name} {text}")
    packages = [item for item in content.packages if item.name not in ("python", *_TOOLS)]
    for item in packages:
        if item.name in SERVERS:  # the same words as in a pip section, with the same note
            lines.add(item.name, path, item.line)
    packages = [item for item in packages if item.name not in SERVERS]
    if with_conda and packages:
        return replace(
            definition(path, "conda file", lines, python),
            channels=content.channels,
            conda_packages=tuple(sorted(item.text for item in packages)),
        )
    translated = _translate(packages, path, lines)
    return definition(path, "conda file", lines, python, translated)


def _translate(packages: list[CondaPackage], path: str, lines: Lines) -> tuple[str, ...]:
    """Have `lines` hold what stands for conda packages; returns the names. Raises BadDefinition for all that is not there."""
    refused = [item for item in packages if item.name in NOT_PYTHON]
    if refused:
        first = refused[0]
        more = f" (so are {', '.join(item.name for item in refused[1:])})" if len(refused) > 1 else ""
        raise BadDefinition(
            path, first.line, f"{first.name} {REFUSED}{more}: {NOT_PYTHON[first.name]}, or install micromamba"
        )
    names = []
    for item in packages:
        if item.name in PART_OF_PYTHON:
            lines.notes.append(f"conda's {item.name} is left out: it comes with Python or with the wheels")
            continue
        if item.versions == "|":
            raise BadDefinition(
                path, item.line, f"{item.text!r}: pip knows no «or» between versions; name one range"
            )
        name = canonical(RENAMED.get(item.name, item.name))
        lines.add(name + item.versions, path, item.line)
        lines.notes.append(f"conda's {item.text} is installed from the Python index as {name}{item.versions}")
        names.append(name)
    return tuple(names)


class _File:
    """The parts of a conda file, with the lines they stand on."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.channels: tuple[str, ...] = ()
        self.packages: list[CondaPackage] = []
        self.pip: list[tuple[int, str]] = []
        self.notes: list[tuple[str, str]] = []
        root = _composed(path, text)
        if root is None or root.id != "mapping":
            raise BadDefinition(path, 1, "is no conda file: it has no `dependencies:`")
        parts = {key.value: value for key, value in root.value}
        for key, _ in root.value:
            if key.value not in _KNOWN:
                near = "dependencies" if str(key.value).startswith("dep") else ""
                hint = f"; do you mean `{near}`?" if near else ""
                raise BadDefinition(path, _line(key), f"`{key.value}` means nothing in a conda file{hint}")
        if "dependencies" not in parts:
            raise BadDefinition(path, 1, "is no conda file: it has no `dependencies:`")
        if "variables" in parts:
            self.notes.append(("`variables`", "are not set: give them as variables of the server"))
        if "channels" in parts:
            self.channels = tuple(text for _, text in self._texts(parts["channels"], "channels"))
        for item in self._items(parts["dependencies"], "dependencies"):
            self._dependency(item)

    def _dependency(self, item: Any) -> None:
        if item.id == "scalar":
            self.packages.append(_package(item.value, self.path, _line(item)))
            return
        keys = [key.value for key, _ in item.value] if item.id == "mapping" else []
        if keys != ["pip"]:
            got = f"`{keys[0]}:`" if keys else "a list"
            raise BadDefinition(
                self.path,
                _line(item),
                f"{got} among the dependencies: expects a package, or `pip:` with a list",
            )
        self.pip += self._texts(item.value[0][1], "pip")

    def _texts(self, node: Any, name: str) -> list[tuple[int, str]]:
        texts = []
        for item in self._items(node, name):
            if item.id != "scalar":
                raise BadDefinition(
                    self.path, _line(item), f"`{name}` expects texts, each on a line after `-`"
                )
            texts.append((_line(item), str(item.value).strip()))
        return texts

    def _items(self, node: Any, name: str) -> list[Any]:
        if node.id == "scalar" and node.value in ("", "null", "~"):
            return []
        if node.id != "sequence":
            raise BadDefinition(
                self.path, _line(node), f"`{name}` expects a list, each item on a line after `-`"
            )
        return list(node.value)


def _composed(path: str, text: str) -> Any:
    """The tree of a YAML text, whose nodes know their lines. Raises BadDefinition."""
    try:
        import yaml
    except ImportError:
        raise EnvironmentFailed(NO_YAML) from None
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadDefinition(path, mark.line + 1 if mark else 0, f"is no YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise BadDefinition(path, 0, f"is no YAML: {str(error).splitlines()[0]}") from None


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _package(text: str, path: str, line: int) -> CondaPackage:
    """One package in conda's words. Raises BadDefinition."""
    text = text.strip()
    match = _SPEC.fullmatch(text)
    if match is None:
        raise BadDefinition(
            path, line, f"{text!r} is no conda package, as in numpy, numpy=1.26 or numpy>=1.26,<2"
        )
    rest = (match["rest"] or "").strip()
    if rest.startswith("["):
        found = _IN_BRACKETS.search(rest)
        rest = found[2].strip() if found else ""
    versions = _versions(rest)
    if versions is None:
        raise BadDefinition(
            path, line, f"{text!r}: {rest!r} is no version, as in =1.26, ==1.26.4 or >=1.26,<2"
        )
    return CondaPackage(text, match["name"].lower(), versions, line)


def _versions(rest: str) -> str | None:
    """Conda's version in pip's words; "|" where there is an «or», None where it is no version.

    `=1.2` is any 1.2, `==1.2` and ` 1.2` that one, `=1.2=build` that one too, without its build.
    """
    if not rest or rest in ("*", "=*", "==*"):
        return ""
    if "|" in rest:
        return "|"
    fuzzy = re.match(r"=(?![=<>!~])", rest) is not None
    body = rest[1:].strip() if fuzzy else rest
    if body[:1] in "<>!~=":
        body, *_ = re.sub(r"\s*([<>=!~,])\s*", r"\1", body).split()  # a build may stand after a blank
        body = re.sub(r"^(==[^=]+)=.*$", r"\1", body)
    else:
        parts = re.split(r"[=\s]+", body)
        fuzzy, body = fuzzy and len(parts) == 1, parts[0]
    pieces = [_piece(piece, fuzzy) for piece in body.split(",") if piece]
    return ",".join(pieces) if pieces and all(pieces) else None


def _piece(piece: str, fuzzy: bool) -> str:
    match = _PIECE.fullmatch(piece.strip())
    if match is None:
        return ""
    op, version = match["op"] or "==", match["version"]
    if match["any"]:
        return f"{op}{version}.*" if op in ("==", "!=") else f"{op}{version}"
    return f"{op}{version}.*" if fuzzy and not match["op"] else op + version


def written(whole: Definition, python: str) -> dict[str, object]:
    """The file that a conda program is given: the same, with the Python chosen, paths absolute and pip's lines cleaned.

    It is JSON, which is YAML too.
    """
    pip = [*(" ".join(option).strip() for option in whole.options), *whole.requirements]
    conda = [f"python={python}", *(["pip"] if pip else []), *whole.conda_packages]
    return {
        "channels": list(whole.channels) or ["conda-forge"],
        "dependencies": [*conda, *([{"pip": pip}] if pip else [])],
    }
