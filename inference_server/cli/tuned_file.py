"""The configuration file that `azmlinfsrv tune` writes, and the words of a command line that goes with it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from inference_server.settings import DECLARED
from inference_server.tuning.facts import Configuration

_WORKERS = DECLARED["workers.worker_count"].env[0]
_BATCH = DECLARED["batch.max_batch_size"].env[0]


class Unusable(Exception):
    """The file cannot be written without losing something; the text says what to do."""


def check(output: str, base: str | None) -> None:
    """See that `output` can be written: it is new, an earlier result, or `base` itself. Raises Unusable."""
    folder = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise Unusable(f"--output {output}: the folder {folder} cannot be written to")
    if not os.path.exists(output) or os.path.getsize(output) == 0:
        return
    if base and os.path.realpath(output) == os.path.realpath(base):
        return
    known = {_WORKERS, _BATCH} | set(_content(base))
    if not set(_content(output)) <= known:
        raise Unusable(
            f"--output {output}: it exists and holds other settings; name another file, "
            f"or give it with --config_file to have them kept"
        )


def write(output: str, base: str | None, configuration: Configuration) -> list[str]:
    """Write `configuration` with all that the configuration file `base` holds; returns the names it adds."""
    added = {_WORKERS: configuration.workers, _BATCH: configuration.batch}
    content = {**_content(base), **added}
    partial = f"{output}.partial"
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    os.replace(partial, output)
    return list(added)


def words(flags: Mapping[str, Any]) -> list[str]:
    """The words of a command line that gives `flags`, values by the settings' keys."""
    result = []
    for key, value in flags.items():
        declared = DECLARED[key]
        result.append(declared.option)
        if not declared.is_switch:
            result.append(_short(value) if declared.is_path else str(value))
    return result


def _short(path: str) -> str:
    """`path` from here, where it lies below."""
    here = os.path.relpath(path)
    return path if here.startswith(os.pardir) else here


def _content(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} is no configuration file: {error}") from None
    if not isinstance(content, dict):
        raise Unusable(f"{path} is no configuration file: it holds no JSON object")
    return content
