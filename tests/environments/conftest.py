"""`site`: a cache, packages of this test's own, and a way to ask for environments of them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from inference_server.environments.build import Asked
from inference_server.environments.cache import Cache
from tests.environments.wheels import offline, wheel


@dataclass
class Site:
    folder: Path
    cache: Cache
    wheels: Path
    said: list[str] = field(default_factory=list)

    def definition(self, *requirements: str, name: str = "requirements.txt") -> str:
        """The path of a requirements.txt that needs no index."""
        path = self.folder / name
        path.write_text(offline(self.wheels, *requirements))
        return str(path)

    def asked(self, source: str, stopped: Callable[[], bool] = lambda: False, **environ: str) -> Asked:
        """A request for the environment of a file, with nothing of pip's configuration here."""
        clean = {"PIP_CONFIG_FILE": os.devnull, "PATH": _path(), "HOME": str(self.folder), **environ}
        clean = {"UV_CACHE_DIR": str(self.folder / "uv"), **clean}
        return Asked(source, self.cache, clean, say=self.said.append, stopped=stopped)

    def left(self) -> list[str]:
        """What lies in the cache besides complete environments."""
        if not self.cache.folder.exists():
            return []
        complete = {entry.made.key for entry in self.cache.entries()}
        return sorted(path.name for path in self.cache.folder.iterdir() if path.name not in complete)


def _path() -> str:
    """The command path with uv, which `make setup` puts beside the tests' Python."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    wheels = tmp_path / "wheels"
    for version in ("1.0", "2.0"):
        wheel(wheels, "shapes", version)
    wheel(wheels, "needs_old", "1.0", ["shapes<2"])
    return Site(tmp_path, Cache(str(tmp_path / "cache")), wheels)


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where uv is nowhere."""
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "uv" else found(name, **more))
