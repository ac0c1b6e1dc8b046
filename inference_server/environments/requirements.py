"""requirements.txt: its lines, those of the files it names, and pip's options among them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from inference_server.environments.definition import Definition, text_of
from inference_server.environments.errors import BadDefinition

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[^\s,;()]+"
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[^\]]*\])?\s*"
    rf"(?P<versions>\(?\s*{_VERSION}(?:\s*,\s*{_VERSION})*\s*,?\s*\)?)?"
    r"\s*(?:@\s*(?P<url>[^\s;]+(?:\s+(?=;))?))?\s*(?P<marker>;[^#]*?)?(?P<hashes>(?:\s+--hash[= ]\S+)*)\s*"
)
_ONE_EQUALS = re.compile(r"[A-Za-z0-9._-]+\s*=\s*[0-9]")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2")
_LONG = {"-i": "--index-url", "-f": "--find-links", "--pypi-url": "--index-url"}
_WITH_VALUE = {
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
}
_ALONE = {"--no-index", "--pre", "--prefer-binary", "--require-hashes"}
_FILES = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_EDITABLE = ("-e", "--editable")

# Only bring the server that this one stands for; what scripts import of what comes with it is installed instead.
SERVERS = ("azureml-defaults", "azureml-inference-server-http")
INSTEAD = ("flask", "inference-schema")


@dataclass
class Lines:
    """What has been gathered so far. `add` takes one line after the other."""

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    options: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    local: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_file(self, path: str, constraint: bool = False, named_at: tuple[str, int] | None = None) -> None:
        """All lines of a file, and of those that it names. Raises BadDefinition."""
        path = os.path.abspath(path)
        if path in self.files:
            return  # pip takes each file once, too
        text = text_of(path, named_at)
        self.files.append(path)
        for number, line in _logical(text):
            self.add(line, path, number, constraint)

    def add(self, line: str, file: str, number: int, constraint: bool = False) -> None:
        """One line without its comment. Raises BadDefinition."""
        folder = os.path.dirname(file)
        if not line.startswith("-"):
            self._add_requirement(line, file, number, constraint)
            return
        name, value = _option(line)
        if name in _FILES or name in _EDITABLE:
            if not value:
                raise BadDefinition(file, number, f"{name} names nothing")
            if name in _EDITABLE:
                self.requirements.append(f"-e {self._located(value, folder, file, number)}")
            elif "://" in value:
                raise BadDefinition(file, number, f"{line}: download it and name the file")
            else:
                path = os.path.join(folder, value)
                self.add_file(path, constraint or _FILES[name] == "-c", (file, number))
        elif name in _WITH_VALUE and value:
            if name == "--find-links" and "://" not in value:
                value = os.path.abspath(os.path.join(folder, value))
            self.options.append((name, value))
        elif name in _ALONE:
            self.options.append((name, ""))
        else:
            raise BadDefinition(file, number, f"{line!r} is no option that can be used in a definition")

    def _add_requirement(self, line: str, file: str, number: int, constraint: bool) -> None:
        folder = os.path.dirname(file)
        if _is_path(line):
            self.requirements.append(self._located(line, folder, file, number))
            return
        match = _REQUIREMENT.fullmatch(line)
        if match is None:
            hint = "; versions are pinned with ==" if _ONE_EQUALS.match(line) else ""
            raise BadDefinition(file, number, f"{line!r} is no requirement{hint}")
        name = canonical(match["name"])
        if name in SERVERS:
            if not constraint:
                self.notes.append(
                    f"{name} is left out, since it brings the server that this one replaces; "
                    f"{' and '.join(INSTEAD)}, which come with it, are installed"
                )
                self.requirements += INSTEAD
            return
        if match["url"] and match["url"].startswith("file:"):
            self.local.append(unquote(urlsplit(match["url"]).path))
        whole = "".join(
            (
                name,
                re.sub(r"\s", "", match["extras"] or ""),
                re.sub(r"[\s()]", "", match["versions"] or "").rstrip(","),
                f" @ {match['url'].strip()} " if match["url"] else "",
                f"; {match['marker'][1:].strip()}" if match["marker"] else "",
                " " + " ".join((match["hashes"] or "").split()) if match["hashes"] else "",
            )
        ).strip()
        (self.constraints if constraint else self.requirements).append(whole)

    def _located(self, text: str, folder: str, file: str, number: int) -> str:
        """A path or address as it can be used from any folder."""
        if text.startswith("file:"):
            self.local.append(unquote(urlsplit(text).path))
            return text
        if "://" in text:
            return text
        path, bracket, extras = text.partition("[")
        path = os.path.abspath(os.path.join(folder, path.strip()))
        if not os.path.exists(path):
            raise BadDefinition(file, number, f"{path} does not exist")
        self.local.append(path)
        return path + bracket + extras


def read(path: str) -> Definition:
    """The definition in a requirements.txt. Raises BadDefinition."""
    lines = Lines()
    lines.add_file(path)
    return definition(path, "requirements", lines)


def definition(
    path: str, kind: str, lines: Lines, python: str = "", translated: tuple[str, ...] = ()
) -> Definition:
    """A definition of `lines` that pip or uv can install."""
    return Definition(
        source=path,
        kind=kind,
        python=python,
        requirements=tuple(dict.fromkeys(lines.requirements)),
        constraints=tuple(lines.constraints),
        options=tuple(lines.options),
        translated=translated,
        files=tuple(dict.fromkeys([path, *lines.files])),
        local=tuple(lines.local),
        notes=tuple(dict.fromkeys(lines.notes)),
    )


def canonical(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The name a requirement line begins with."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return canonical(match[0]) if match else ""


def _logical(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers; those that end in a backslash are joined, comments and empty ones are left out."""
    result: list[tuple[int, str]] = []
    begun, parts = 0, []
    for number, raw in enumerate(text.splitlines(), 1):
        begun = begun or number
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            parts.append(raw[:-1])
            continue
        parts.append(raw)
        line = _COMMENT.sub("", " ".join(part.strip() for part in parts)).strip()
        if line:
            result.append((begun, line))
        begun, parts = 0, []
    if parts and (line := _COMMENT.sub("", " ".join(parts)).strip()):
        result.append((begun, line))
    return result


def _option(line: str) -> tuple[str, str]:
    """An option's long name and its value."""
    if line.startswith("--"):
        name, _, value = re.sub(r"^(--[\w-]+)[ =]\s*", r"\1 ", line).partition(" ")
    else:
        name, value = line[:2], line[2:]
    return _LONG.get(name, name), value.strip().strip("\"'")


def _is_path(line: str) -> bool:
    """Whether a line without an option is a file, a folder or an address."""
    first = line.split(";")[0].strip()
    if " @ " in first:
        return False
    if first.startswith((".", "/", "file:", "~")) or "://" in first or re.match(r"[A-Za-z]:[\\/]", first):
        return True
    return first.lower().endswith(_ARCHIVES) or os.sep in first
