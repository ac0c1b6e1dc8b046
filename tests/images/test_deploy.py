"""docs/deploy.md, word for word: a blob in Azurite and a folder become a local server, then a container, with a secret."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_walkthroughs import blocks
from tests.end_to_end.running import Server, clean_environment, free_port
from tests.images.conftest import Engine, require_image
from tests.storage.emulators import Azurite, ask, azurite
from tests.tools import ROOT, require_module

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

MODEL = ROOT / "sample_models" / "sklearn-iris" / "model.joblib"
PORT, KEY = "127.0.0.1:5001", "correct horse battery staple"
SERVE = "azmlinfsrv --entry_script"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Azurite]:
    """The storage account, with the model in it."""
    place = tmp_path / "azurite"
    place.mkdir()
    with azurite(place) as made:
        ask(f"{made.endpoint}/models?restype=container&{made.sas('rwlac')}", "PUT", b"")
        made.put("models", "iris/model.joblib", MODEL.read_bytes())
        yield made


def test_the_walk(docker: dict[str, str], engine: Engine, store: Azurite, tmp_path: Path) -> None:
    require_module("obstore")
    require_module("sklearn", "scikit-learn==1.7.2")
    require_image(engine, "azmlinfsrv-storage-initializer")
    folder = tmp_path / "shop"
    (folder / "code").mkdir(parents=True)
    tmp_path.chmod(0o755)
    (script,), (deployment,) = blocks("deploy.md", "python"), blocks("deploy.md", "yaml")
    (folder / "code" / "score.py").write_text(script)
    (folder / "deployment.yml").write_text(deployment)
    (folder / "signing-key").write_text(KEY)
    walk = Walk(folder, docker, store)
    try:
        for block in blocks("deploy.md", "console"):
            walk.follow(block)
    finally:
        walk.end()
        engine.run("volume", "rm", "-f", "iris-models", check=False)


class Walk:
    """The commands of the page, in one shell's variables; names of this run stand in for those of the page."""

    def __init__(self, folder: Path, environment: dict[str, str], store: Azurite) -> None:
        self.folder = folder
        self.store = store
        self.server: Server | None = None
        self.port = free_port()
        path = f"{Path(sys.executable).parent}:{environment['PATH']}"
        own = {
            "XDG_DATA_HOME": str(folder),
            "XDG_CACHE_HOME": str(folder),
            "AZMLINFSRV_SECRETS_PASSPHRASE": "x",
        }
        self.environment = {**clean_environment(), **environment, "PATH": path, **own}

    def follow(self, block: str) -> None:
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).+\n)*)", block, re.MULTILINE):
            command = command.replace(PORT, f"127.0.0.1:{self.port}")
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                value = self.store.connection_string if value.startswith("UseDev") else value.strip("'")
                self.environment[name] = value
            elif command.startswith(SERVE):
                words = [str(Path(sys.executable).parent / "azmlinfsrv"), *command.split()[1:]]
                environment = {**self.environment, "AZMLINFSRV_PORT": str(self.port)}
                self.server = Server(words, self.port, self.folder, environment).wait_ready()
            else:
                said = self._run(command)
                assert not shown or said.strip() == shown.strip()
                if "/score" in command and self.server:
                    self.end()
                    self.port = free_port()

    def end(self) -> None:
        if self.server:
            self.server.stop()
            self.server = None

    def _run(self, command: str) -> str:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        return ran.stdout
