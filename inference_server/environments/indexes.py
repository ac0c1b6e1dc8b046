"""Where packages come from on this machine, as pip is configured: uv is told the same, since it does not read that."""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping

Options = tuple[tuple[str, str], ...]

_MANY = ("extra-index-url", "find-links", "trusted-host", "constraint")
_ONE = ("index-url", "only-binary", "no-binary")
_SWITCHES = ("no-index", "pre", "prefer-binary")
_OFF = {"", "0", "false", "no", "off", "f", "n"}
# uv's own variables that change what is installed.
_UV = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_EXCLUDE_NEWER",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
    "UV_TORCH_BACKEND",
)
_UV_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def of_pip(environ: Mapping[str, str]) -> Options:
    """pip's settings as options: its files, the later ones before the earlier ones, and its variables before all."""
    found: dict[str, str] = {}
    for path in _files(environ):
        found.update(_read(path))
    for name in (*_ONE, *_MANY, *_SWITCHES):
        variable = environ.get("PIP_" + name.upper().replace("-", "_"))
        if variable is not None:
            found[name] = variable
    options: list[tuple[str, str]] = []
    options += [(f"--{name}", found[name].strip()) for name in _ONE if found.get(name, "").strip()]
    options += [(f"--{name}", value) for name in _MANY for value in found.get(name, "").split()]
    options += [(f"--{name}", "") for name in _SWITCHES if found.get(name, "").strip().lower() not in _OFF]
    return tuple(options)


def certificates_of_pip(environ: Mapping[str, str]) -> str:
    """The file with the certificates that pip trusts; "": as usual."""
    found: dict[str, str] = {}
    for path in _files(environ):
        found.update(_read(path))
    return environ.get("PIP_CERT") or found.get("cert", "")


def has_own(environ: Mapping[str, str]) -> bool:
    """Whether uv was told of indexes by variables of its own: then those of pip are not for it."""
    return any(environ.get(name) for name in _UV_INDEX)


def of_uv(environ: Mapping[str, str]) -> Options:
    """uv's variables that change what is installed."""
    return tuple((name, environ[name]) for name in _UV if environ.get(name))


def without_credentials(text: str) -> str:
    """Addresses without the names and passwords in them."""
    return _CREDENTIALS.sub("", text)


def _files(environ: Mapping[str, str]) -> Iterator[str]:
    """pip's configuration files, the strongest last."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = environ.get("HOME") or environ.get("USERPROFILE") or os.path.expanduser("~")
    if sys.platform == "win32":
        yield os.path.join(environ.get("PROGRAMDATA", r"C:\ProgramData"), "pip", "pip.ini")
        yield os.path.join(home, "pip", "pip.ini")
        yield os.path.join(environ.get("APPDATA", home), "pip", "pip.ini")
        yield os.path.join(sys.prefix, "pip.ini")
    else:
        for folder in reversed((environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)):
            yield os.path.join(folder, "pip", "pip.conf")
        yield "/etc/pip.conf"
        yield os.path.join(home, ".pip", "pip.conf")
        yield os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip", "pip.conf")
        yield os.path.join(sys.prefix, "pip.conf")
    if named:
        yield named


def _read(path: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}  # pip itself says what is wrong with it
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            found.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return found
