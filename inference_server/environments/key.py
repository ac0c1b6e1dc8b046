"""The key of an environment: equal for all that would be installed alike, different for all that would not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sysconfig
from collections.abc import Iterator, Mapping

from inference_server.environments import indexes
from inference_server.environments.definition import Definition
from inference_server.environments.python_versions import Minor

DIGITS = 12
# Of a folder that is installed from where it is, these alone say what is installed with it.
_METADATA = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
_BY_PRODUCTS = {"__pycache__", "build", "dist", "node_modules", "venv"}


def key_of(definition: Definition, minor: Minor, environ: Mapping[str, str]) -> str:
    """Like `py39-5c0e1f2a7b44`: of what is asked for in any order of lines, the index, local files' contents.

    The same whichever of pip and uv installs it. Names and passwords in addresses do not count: they change.
    """
    asked = {
        "python": minor,
        "requirements": sorted(definition.requirements),
        "constraints": sorted(definition.constraints),
        "options": definition.options,
        "channels": definition.channels,
        "conda": definition.conda_packages,
        "pip": indexes.of_pip(environ),
        "uv": indexes.of_uv(environ),
        "local": [_digest(path, definition) for path in sorted(set(definition.local))],
        "constraint files": [
            _file_digest(path) for name, path in indexes.of_pip(environ) if name == "--constraint"
        ],
    }
    text = indexes.without_credentials(json.dumps(asked, sort_keys=True))
    return f"py{minor[0]}{minor[1]}-{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}"


def platform() -> str:
    """What an environment cannot be carried across, as a folder's name: `linux-x86_64-glibc-2.36`."""
    parts = [sysconfig.get_platform()]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not POSIX, or not this libc
        parts.append(os.confstr("CS_GNU_LIBC_VERSION") or "")
    return re.sub(r"[^\w.]+", "-", " ".join(part for part in parts if part))


def _digest(path: str, definition: Definition) -> str:
    """Of what is installed from a file or folder of this machine."""
    if not os.path.isdir(path):
        return _file_digest(path)
    editable = any(line.startswith(f"-e {path}") for line in definition.requirements)
    whole = hashlib.sha256()
    files = (os.path.join(path, name) for name in _METADATA) if editable else _files(path)
    for file in files:
        if os.path.isfile(file):
            whole.update(f"{os.path.relpath(file, path)}\0{_file_digest(file)}\n".encode())
    return whole.hexdigest()


def _files(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _BY_PRODUCTS and not name.startswith(".") and not name.endswith(".egg-info")
        )
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.endswith(".pyc"))


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError:
        return ""
    return digest.hexdigest()
