"""Where things are kept that nobody named a place for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def user_cache(name: str, environ: Mapping[str, str]) -> str:
    """The folder for what can be made or fetched again, in the platform's own place; absolute."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return os.path.abspath(os.path.join(base, "azmlinfsrv", name))


def user_data(name: str, environ: Mapping[str, str]) -> str:
    """The file or folder for what exists nowhere else, in the platform's own place; absolute."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.abspath(os.path.join(base, "azmlinfsrv", name))
