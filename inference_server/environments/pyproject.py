"""pyproject.toml: what the project needs. The project itself is not installed: its code is beside the script."""

from __future__ import annotations

import re
import sys
from typing import Any

from inference_server.environments.definition import Definition, text_of
from inference_server.environments.errors import BadDefinition, EnvironmentFailed
from inference_server.environments.requirements import Lines, definition

NO_TOML = "reading a pyproject.toml on Python 3.10 needs tomli: pip install 'azmlinfsrv[env]'"


def read(path: str) -> Definition:
    """The definition in a pyproject.toml. Raises BadDefinition."""
    text = text_of(path)
    project = _parsed(path, text).get("project")
    if not isinstance(project, dict):
        raise BadDefinition(
            path, 0, "has no [project] table: list what the script needs under its `dependencies`"
        )
    if "dependencies" in (project.get("dynamic") or ()):
        raise BadDefinition(
            path,
            _line(text, "dynamic"),
            "its dependencies are dynamic, which only its build can tell: list them, or give a requirements.txt",
        )
    lines = Lines()
    wanted = project.get("dependencies", [])
    if not isinstance(wanted, list) or not all(isinstance(item, str) for item in wanted):
        raise BadDefinition(path, _line(text, "dependencies"), "`dependencies` is no list of texts")
    for item in wanted:
        lines.add(item.strip(), path, _line(text, item))
    if not wanted:
        lines.notes.append(f"{path} has no dependencies: the environment will be empty")
    return definition(path, "pyproject", lines, str(project.get("requires-python") or ""))


def _parsed(path: str, text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise EnvironmentFailed(NO_TOML) from None
    try:
        content: dict[str, Any] = tomllib.loads(text)
        return content
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)", str(error))
        message = str(error).replace(place[0], "") if place else str(error)
        raise BadDefinition(path, int(place[1]) if place else 0, f"is no TOML: {message}") from None


def _line(text: str, what: str) -> int:
    """The line on which something first stands; 0: it stands nowhere as it is."""
    place = text.find(what)
    return text.count("\n", 0, place) + 1 if place >= 0 else 0
