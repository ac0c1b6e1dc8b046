"""Real containers: an engine, the images that images/build.sh made, and how a test starts one."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.running import free_port, wait_for
from tests.tools import missing, require_tool

WORK = Path(os.environ.get("AZMLINFSRV_IMAGES", "/var/tmp/azmlinfsrv-images"))
HOW = f"images/ci/test-base.sh && . {WORK}/engine.sh && images/build.sh"
LOCKED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop",
    "all",
    "--security-opt",
    "no-new-privileges",
)
_NO_SYSTEMD = "systemd connection"


@dataclass
class Engine:
    """podman, in the storage that images/ci/test-base.sh made."""

    program: str
    environment: dict[str, str]

    def run(self, *words: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """One command of the engine's, to its end."""
        ran = subprocess.run(
            [self.program, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            **more,
        )
        if check and ran.returncode:
            raise AssertionError(f"podman {' '.join(words)}: {said(ran.stderr)}")
        return ran

    def has(self, image: str) -> bool:
        return self.run("image", "exists", image, check=False).returncode == 0

    def size(self, image: str) -> int:
        """Bytes of all its layers."""
        return int(self.run("image", "inspect", image, "--format", "{{.Size}}").stdout)


@dataclass
class Container:
    """A running container, on the machine's own network."""

    engine: Engine
    name: str
    port: int
    began: float = field(default_factory=time.monotonic)

    def ask(self, method: str, target: str, body: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def score(self, body: Any) -> Any:
        """The answer to a POST of `body`, which must be a good one."""
        status, content = self.ask("POST", "/score", json.dumps(body))
        assert status == 200, (status, content, self.logs())
        return json.loads(content)

    def wait_ready(self, seconds: float = 60.0) -> float:
        """Seconds from the engine's command to the first moment the server was ready."""

        def ready() -> bool:
            try:
                return self.ask("GET", "/readyz")[0] == 200
            except OSError:
                if self.inspect("{{.State.Running}}") == "false":
                    raise AssertionError(f"the container has ended:\n{self.logs()}") from None
                return False

        wait_for(ready, seconds, "ready")
        return time.monotonic() - self.began

    def execute(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.engine.run("exec", self.name, *words, check=check)

    def inspect(self, template: str) -> str:
        return self.engine.run("inspect", self.name, "--format", template).stdout.strip()

    def logs(self) -> str:
        ran = self.engine.run("logs", self.name)
        return ran.stdout + ran.stderr


Run = Callable[..., Container]


def said(text: str) -> str:
    """What an engine wrote, without what it always writes where there is no systemd."""
    return "\n".join(line for line in text.splitlines() if _NO_SYSTEMD not in line)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """podman with the server's image in it."""
    program = require_tool("podman")
    settings = WORK / "engine.sh"
    if not settings.is_file():
        missing(f"needs images to run: {HOW}")
    shown = subprocess.run(
        ["bash", "-c", f". {settings} && env -0"], capture_output=True, text=True, check=True
    )
    made = Engine(program, dict(line.partition("=")[::2] for line in shown.stdout.split("\0") if line))
    require_image(made, "azmlinfsrv")
    template = '{{index .Config.Labels "azmlinfsrv.stand-in"}}'
    stand_in = made.run("image", "inspect", "azmlinfsrv", "--format", template).stdout.strip()
    if stand_in:
        warnings.warn(f"the images under test are made from a stand-in: {stand_in}", stacklevel=1)
    return made


@pytest.fixture
def run(engine: Engine) -> Iterator[Run]:
    """`run(image, *flags, words=()) -> Container` on a free port, with no rights; removed at the end."""
    started: list[Container] = []

    def begin(image: str, *flags: str, words: tuple[str, ...] = (), locked: bool = True) -> Container:
        require_image(engine, image)
        container = Container(engine, f"test-{uuid.uuid4().hex[:12]}", free_port())
        own = ("--pull=never", "--network", "host", "-e", f"AZMLINFSRV_PORT={container.port}")
        rights = LOCKED if locked else ()
        started.append(container)
        engine.run("run", "-d", "--name", container.name, *own, *rights, *flags, image, *words)
        return container

    yield begin
    for container in started:
        engine.run("rm", "-f", "-t", "0", container.name, check=False)


@pytest.fixture
def docker(engine: Engine, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which `docker` talks to podman."""
    require_tool("docker", "docker-cli")
    socket = tmp_path / "podman.sock"
    service = subprocess.Popen(
        [engine.program, "system", "service", "--time=0", f"unix://{socket}"],
        env=engine.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(socket.exists, 20, "podman's socket")
        yield {**engine.environment, "DOCKER_HOST": f"unix://{socket}", "DOCKER_BUILDKIT": "0"}
    finally:
        engine.run("rm", "-f", "-t", "0", "iris", check=False)
        service.terminate()
        service.wait(10)


@pytest.fixture
def code(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """`code(text) -> flags` that mount a score.py of that text as the app root."""

    def written(text: str) -> tuple[str, ...]:
        folder = tmp_path / "code"
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "score.py").write_text(text)
        return ("-v", f"{folder}:/var/azureml-app:ro")

    return written


def require_image(engine: Engine, name: str) -> None:
    """The test goes on only where that image was built."""
    if not engine.has(name):
        missing(f"needs the image {name}: {HOW}")
