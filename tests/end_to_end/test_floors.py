"""The lowest versions that pyproject.toml allows serve as the newest do. Fetches them, so it runs in CI alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import Server, clean_environment, free_port
from tests.end_to_end.talk import Talk, chunked, post
from tests.tools import IN_CI, ROOT

SCRIPT = """
def init():
    pass

def run(data):
    return iter([data, data]) if data.startswith("stream") else data
"""


@pytest.mark.system
@pytest.mark.skipif(
    not IN_CI, reason="fetches the lowest allowed versions of all dependencies: CI=true runs it"
)
def test_the_lowest_allowed_versions(tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    python = tmp_path / "lowest" / "bin" / "python"
    install = (
        f"{uv} pip install -q -p {python} --resolution lowest-direct --no-build -r {ROOT}/pyproject.toml"
    )
    for line in (f"{uv} venv -q -p {sys.executable} {tmp_path}/lowest", install):
        subprocess.run(line.split(), check=True, timeout=100)
    (tmp_path / "score.py").write_text(SCRIPT)
    port = free_port()
    command = [str(python), "-m", "inference_server", "--entry_script", "score.py", "--port", str(port)]
    server = Server(command, port, tmp_path, clean_environment()).wait_ready()
    try:
        with Talk(server) as talk:
            talk.send(
                post(b"a") + chunked(b"b", b"c") + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + post(b"stream ")
            )
            assert [talk.reply().body for _ in range(4)] == [b'"a"', b'"bc"', b"Healthy", b"stream stream "]
            talk.send(b"GET /score HTTP/1.1\r\n\r\n")
            assert talk.reply().status == 400
            assert talk.closed()
        assert b"azmlinfsrv_requests_total" in server.get("/metrics").body
    finally:
        code = server.stop()
    assert code == 0
    assert "Traceback" not in server.log()
