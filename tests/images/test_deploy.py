"""docs/deploy.md, word for word: a blob in Azurite and a folder become a local server, then a container, with a secret."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_walkthroughs import blocks
from tests.end_to_end.running import Server, clean_environment, free_port
from tests.images.conftest import Engine, require_image
from tests.storage.conftest import web
from tests.storage.emulators import Azurite, ask, azurite
from tests.storage.flaky_http import FlakyHttp
from tests.storage.sources.test_http import make_certificate
from tests.tools import ROOT, require_module

__all__ = ["web"]  # a fixture of the storage tests

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
        fill(made)
        yield made


@pytest.fixture
def identity(tmp_path: Path, web: FlakyHttp) -> Iterator[dict[str, str]]:
    """Variables of a machine with a managed identity: a stub gives the token, and an account wants it."""
    place = tmp_path / "with-identity"
    place.mkdir()
    authority = make_certificate(place / "key.pem", place / "cert.pem")
    web.put(
        "/msi/token", json.dumps({"access_token": jwt(), "expires_on": str(int(time.time()) + 3600)}).encode()
    )
    options = ("--oauth", "basic", "--cert", str(place / "cert.pem"), "--key", str(place / "key.pem"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", authority)
        with azurite(place, *options, scheme="https", account="acct1") as made:
            fill(made)
            yield {
                "AZURE_STORAGE_BLOB_ENDPOINT": made.endpoint,
                "IDENTITY_ENDPOINT": web.url("/msi/token"),
                "IDENTITY_HEADER": "x",
                "SSL_CERT_FILE": authority,
            }


def jwt() -> str:
    """A token whose claims Azurite takes; it does not look at the signature."""
    now, tenant = int(time.time()), "ab1f708d-50f6-404c-a006-d71b2ac7a606"
    times = {"iat": now - 60, "nbf": now - 60, "exp": now + 3600}
    issuer = {"aud": "https://storage.azure.com", "iss": f"https://sts.windows.net/{tenant}/", "tid": tenant}
    parts = ({"alg": "RS256", "typ": "JWT"}, {**issuer, **times, "oid": "1"}, {})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


def fill(store: Azurite) -> None:
    """Lay the model down where the page has it."""
    ask(f"{store.endpoint}/models?restype=container&{store.sas('rwlac')}", "PUT", b"")
    store.put("models", "iris/model.joblib", MODEL.read_bytes())


def test_the_walk(
    docker: dict[str, str],
    engine: Engine,
    store: Azurite,
    identity: dict[str, str],
    web: FlakyHttp,
    tmp_path: Path,
) -> None:
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
    walk = Walk(folder, docker, store, identity)
    try:
        for block in blocks("deploy.md", "console"):
            walk.follow(block)
        assert len(web.requests("/msi/token")) == 1
        assert (folder / "app/azureml-models/iris/2/model.joblib").read_bytes() == MODEL.read_bytes()
    finally:
        walk.end()
        engine.run("volume", "rm", "-f", "iris-models", check=False)


class Walk:
    """The commands of the page, in one shell's variables; names of this run stand in for those of the page."""

    def __init__(
        self, folder: Path, environment: dict[str, str], store: Azurite, identity: dict[str, str]
    ) -> None:
        self.folder = folder
        self.identity = identity
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
            elif command.startswith("unset "):  # where there is no key, there is an identity
                del self.environment[command.removeprefix("unset ")]
                self.environment.update(self.identity)
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
