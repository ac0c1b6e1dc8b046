"""images/compose.yaml: the storage initializer fills the volume, then the server serves from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import free_port
from tests.images.conftest import Container, Engine, require_image, said
from tests.storage.flaky_http import FlakyHttp
from tests.tools import ROOT, missing

SAMPLE = ROOT / "sample_models" / "sklearn-iris"
# The model is served on this machine's loopback, so both containers are on its network.
ON_THE_HOST = """\
services:
  storage-initializer:
    network_mode: host
  server:
    network_mode: host
    environment:
      AZMLINFSRV_PORT: "{port}"
"""


@pytest.mark.system
def test_fetched_then_served(engine: Engine, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "podman-compose"
    if not program.exists():
        missing("needs podman-compose: pip install podman-compose")
    for image in ("azmlinfsrv-storage-initializer", "azmlinfsrv-sklearn"):
        require_image(engine, image)
    code, more, port = tmp_path / "code", tmp_path / "more.yaml", free_port()
    code.mkdir()
    shutil.copy(SAMPLE / "score.py", code)
    more.write_text(ON_THE_HOST.format(port=port))
    project = f"test{port}"

    with FlakyHttp() as web:
        web.put("/iris/model.joblib", (SAMPLE / "model.joblib").read_bytes(), etag='"1"')

        def compose(*words: str) -> None:
            files = ("-p", project, "-f", str(ROOT / "images" / "compose.yaml"), "-f", str(more))
            own = {"MODEL": web.url("/iris/model.joblib"), "CODE": str(code)}
            ran = subprocess.run(
                [program, *files, *words],
                env={**engine.environment, **own},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert ran.returncode == 0, said(ran.stdout + ran.stderr)

        try:
            compose("up", "-d")
            server = Container(engine, f"{project}_server_1", port)
            server.wait_ready()
            request = json.loads((SAMPLE / "request.json").read_text())
            assert server.score(request) == ["setosa", "versicolor", "virginica"]
            assert server.inspect("{{.HostConfig.ReadonlyRootfs}}") == "true"
            fetched = engine.run("logs", f"{project}_storage-initializer_1")
            assert "fetched" in fetched.stdout + fetched.stderr
        finally:
            compose("down", "-v")
