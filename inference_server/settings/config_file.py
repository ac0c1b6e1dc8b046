"""The JSON configuration file: where it is looked for, and what is read from it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from inference_server.settings.declare import BAD_VALUE_EXIT
from inference_server.settings.problems import BadSettings

FILE_NAME = "config.json"


@dataclass(frozen=True)
class ConfigFile:
    """The values of the file that was found, as text; no path: none was found."""

    path: str | None = None
    values: dict[str, str] = field(default_factory=dict)


def find(named: str | None, app_root: str, script: str | None) -> str | None:
    """The first file that exists and is not empty: the named one, then in the app root, then beside the script."""
    candidates = [os.path.join(app_root, FILE_NAME)]
    if named:
        candidates.insert(0, named)
    if script:
        candidates.append(os.path.join(os.path.dirname(script), FILE_NAME))
    return next((path for path in candidates if _holds_something(path)), None)


def _holds_something(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def load(path: str | None, keys: Iterable[str]) -> ConfigFile:
    """Read the file; keys that are not ours are ignored, as is a null. Raises BadSettings when it is not JSON."""
    if path is None:
        return ConfigFile()
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise BadSettings([f"Invalid config file!: {path}: {error}"], BAD_VALUE_EXIT) from None
    if not isinstance(content, dict):
        raise BadSettings([f"Invalid config file!: {path}: expects a JSON object, {{...}}"], BAD_VALUE_EXIT)
    ours = set(keys)
    values = {key: _as_text(value) for key, value in content.items() if key in ours and value is not None}
    return ConfigFile(path, values)


def _as_text(value: object) -> str:
    """As a variable would hold it: true and false in lower case, lists and objects as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
