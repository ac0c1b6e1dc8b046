"""Text to values: what a flag, a variable or a configuration file holds is text until it passes here.

A reader raises ValueError with a message that says what it expects and what it got.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

_TRUE = {"true", "t", "1", "yes", "y", "on"}
_FALSE = {"false", "f", "0", "no", "n", "off"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])i?)?B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_DEVICE = re.compile(r"\d+|(GPU|MIG)-[0-9a-zA-Z/-]+")
_DEFINITIONS = (".yml", ".yaml", ".txt", ".in", ".toml")
_OLDEST_PYTHON = (3, 8)  # the oldest a worker runs on
_SAY_VERSION = "import sys; print('%d %d' % sys.version_info[:2])"


def text(value: str) -> str:
    """Any text, as it is."""
    return value


def whole(least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""
    bounds = f"of {least} or more" if most is None else f"from {least} to {most}"

    def read(value: str) -> int:
        try:
            result = int(value.strip())
        except ValueError:
            result = least - 1
        if result < least or (most is not None and result > most):
            raise ValueError(f"expects a whole number {bounds}, got {value!r}")
        return result

    return read


def number(value: str) -> float:
    """A number of 0 or more."""
    try:
        result = float(value)
    except ValueError:
        result = -1.0
    if not 0 <= result < float("inf"):
        raise ValueError(f"expects a number of 0 or more, got {value!r}")
    return result


def switch(value: str) -> bool:
    """True or false, in any of the usual words and any case."""
    word = value.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"expects true or false, got {value!r}")


def only_true(value: str) -> bool:
    """On for `true` in any case; everything else is off and no error."""
    return value.strip().lower() == "true"


def exactly_true(value: str) -> bool:
    """On for a lower-case `true`; everything else is off and no error."""
    return value == "true"


def size(value: str) -> int:
    """Bytes: a number, or a number with K, M, G or T (powers of 1024; `512M`, `512MB` and `512MiB` are one)."""
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise ValueError(f"expects a size in bytes such as 1048576, 512M or 2GiB, got {value!r}")
    return int(float(match[1]) * 1024 ** _POWERS[(match[2] or "").upper()])


@dataclass(frozen=True)
class OneOf:
    """Reads one of a few words."""

    words: tuple[str, ...]

    def __call__(self, value: str) -> str:
        word = value.strip().lower()
        if word not in self.words:
            raise ValueError(f"expects {' or '.join(self.words)}, got {value!r}")
        return word


def one_of(*words: str) -> OneOf:
    """One of a few words."""
    return OneOf(words)


def devices(value: str) -> str:
    """Numbers or names of CUDA devices separated by commas, `cuda`, `cpu`, or nothing."""
    word = value.strip().lower()
    if word in ("", "cuda", "cpu"):
        return word
    names = [name.strip() for name in value.split(",")]
    if all(_DEVICE.fullmatch(name) for name in names) and len(set(names)) == len(names):
        return ",".join(names)
    raise ValueError(f"expects cuda, cpu or device numbers separated by commas (0,1), got {value!r}")


def is_definition(path: str) -> bool:
    """Whether a file's name is that of a definition of an environment."""
    return path.lower().endswith(_DEFINITIONS)


def environment(value: str) -> str:
    """The absolute path of a file that defines an environment; or of an interpreter, as `python` reads it."""
    path = os.path.abspath(os.path.expanduser(value))
    if not os.path.exists(path):
        raise ValueError(
            f"expects a conda file, requirements.txt or pyproject.toml; {value!r} does not exist"
        )
    if os.path.isfile(path) and is_definition(path):
        return path
    if os.path.isfile(path) and not os.access(path, os.X_OK):
        raise ValueError(
            f"expects a conda file (.yml), requirements.txt or pyproject.toml; {value!r} is none by its name"
        )
    return python(path)


def python(value: str) -> str:
    """The interpreter for the model: a path, a command's name or a virtual environment's folder.

    It is started once to see that it runs and is not too old. Links are kept: a virtual environment is found
    through the path its interpreter was started by.
    """
    path = value
    if os.path.isdir(path):
        inside = [os.path.join(path, "bin", "python"), os.path.join(path, "Scripts", "python.exe")]
        path = next((candidate for candidate in inside if os.path.isfile(candidate)), "")
        if not path:
            raise ValueError(
                f"finds no interpreter in the folder {value!r} (looked for {' and '.join(inside)})"
            )
    elif not os.path.isfile(path):
        path = shutil.which(value) or ""
        if not path:
            raise ValueError(
                f"expects a Python interpreter or a virtual environment; {value!r} does not exist"
            )
    path = os.path.abspath(path)
    try:
        answer = subprocess.run([path, "-c", _SAY_VERSION], capture_output=True, text=True, timeout=30)
        version = tuple(int(part) for part in answer.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"expects a Python interpreter; {path!r} does not run as one ({error})") from None
    if len(version) != 2:
        said = answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"]
        why = (
            said[0] if said[-1].startswith(" ") else said[-1]
        )  # a traceback's last line; of a paragraph the first
        raise ValueError(f"expects a Python interpreter; {path!r} does not run as one ({why})")
    if version < _OLDEST_PYTHON:
        raise ValueError(f"needs Python 3.8 or newer; {path!r} is {version[0]}.{version[1]}")
    return path
