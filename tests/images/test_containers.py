"""The server's image under the tightest rights: it starts, serves, is well, and ends without losing anything."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.running import wait_for
from tests.images.conftest import Engine, Run
from tests.scoring.driving import other_python
from tests.tools import missing

pytestmark = pytest.mark.system

Code = Callable[[str], tuple[str, ...]]

TRIVIAL = """
def init():
    pass

def run(data):
    return "hello"
"""
SLOW = """
import json, time

def init():
    pass

def run(data):
    seconds = json.loads(data)
    time.sleep(seconds)
    return seconds
"""
WHERE = """
import json, os, sys

def init():
    pass

def run(data):
    try:
        import starlette
        seen = starlette.__file__
    except ImportError:
        seen = None
    return {"version": list(sys.version_info[:2]), "user": os.getuid(), "starlette": seen, "executable": sys.executable}
"""
BASE = "docker.io/library/python:3.11-slim"
BUILD_TOOLS = ("gcc", "cc", "make", "git")
READY_SECONDS, CONTENT_BYTES = 1.5, 150e6


def test_small_and_without_rights(run: Run, code: Code, engine: Engine, capsys: Any) -> None:
    """256 MB, nothing writable, no capability, not root: ready at once, serves, healthy, and ends with 0."""
    container = run("azmlinfsrv", "-m", "256m", *code(TRIVIAL))
    seconds = container.wait_ready()
    assert container.score({}) == "hello"
    assert container.engine.run("healthcheck", "run", container.name).returncode == 0
    assert container.execute("id", "-u").stdout.strip() == "1000"
    assert container.execute("sh", "-c", "touch /var/azureml-app/x || touch /tmp/x", check=False).returncode
    status = container.execute("cat", "/proc/1/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "dumb-init" in container.execute("cat", "/proc/1/cmdline").stdout
    for tool in BUILD_TOOLS:
        assert container.execute("sh", "-c", f"command -v {tool}", check=False).returncode, tool
    engine.run("stop", "-t", "15", container.name)
    assert container.inspect("{{.State.ExitCode}}") == "0"
    content = engine.size("azmlinfsrv") - engine.size(BASE)
    with capsys.disabled():
        print(
            f"\n[image] ready {seconds:.2f} s after `podman run`; {content / 1e6:.0f} MB over its Python base"
        )
    assert content <= CONTENT_BYTES


def test_the_end_waits_for_what_runs(run: Run, code: Code, engine: Engine) -> None:
    container = run("azmlinfsrv", *code(SLOW))
    container.wait_ready()
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(container.score(2)))
    asking.start()

    def running() -> bool:
        workers = json.loads(container.ask("GET", "/readyz")[1])["workers"]
        return bool(workers[0]["in_hand"])

    wait_for(running, why="the request to run")
    engine.run("stop", "-t", "15", container.name)
    asking.join(10)
    assert answers == [2]
    assert container.inspect("{{.State.ExitCode}}") == "0"


def test_unhealthy_says_why(run: Run, code: Code) -> None:
    container = run(
        "azmlinfsrv", *code("import time\ndef init():\n    time.sleep(60)\ndef run(data): pass\n")
    )

    def answers() -> bool:
        try:
            return container.ask("GET", "/livez")[0] == 200
        except OSError:
            return False

    wait_for(answers, 20, "the front to answer")
    check = ("/opt/azmlinfsrv/bin/python", "-I", "-S", "/opt/azmlinfsrv/image/healthcheck.py")
    ran = container.execute(*check, check=False)
    assert ran.returncode == 1
    assert '"starting"' in ran.stdout
    ran = container.execute("env", "AZMLINFSRV_PORT=1", *check, check=False)
    assert (ran.returncode, "port 1 of this container" in ran.stdout) == (1, True)


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_the_model_has_a_python_of_its_own(run: Run, code: Code, version: str) -> None:
    """The server sees nothing of the model's environment, the model nothing of the server's."""
    python = other_python(version)
    if python is None:
        missing(f"needs a Python {version}")
        raise AssertionError("unreachable")
    prefix = Path(python).resolve().parent.parent
    flags = (
        "-v",
        f"{prefix}:/model:ro",
        "-e",
        "LD_LIBRARY_PATH=/model/lib",
        "-e",
        "AZMLINFSRV_PYTHON=/model",
    )
    container = run("azmlinfsrv", *flags, *code(WHERE))
    container.wait_ready()
    answer = container.score({})
    assert answer["version"] == [int(part) for part in version.split(".")]
    assert (answer["user"], answer["starlette"]) == (1000, None)


def test_names_and_words(run: Run, code: Code, engine: Engine, tmp_path: Path) -> None:
    """Azure's variables name script and model; flags reach the server, a command's name runs that command."""
    flags = code("import os\ndef init(): pass\ndef run(data): return os.environ['AZUREML_MODEL_DIR']\n")
    (tmp_path / "code" / "score.py").rename(tmp_path / "code" / "other.py")
    (tmp_path / "code" / "azureml-models").mkdir()
    (tmp_path / "code" / "azureml-models" / "model.bin").write_bytes(b"")
    container = run(
        "azmlinfsrv", "-e", "AZUREML_ENTRY_SCRIPT=other.py", *flags, words=("--worker_count", "2")
    )
    container.wait_ready()
    assert container.score({}) == "/var/azureml-app/azureml-models"
    assert "Worker Count: 2" in container.logs()
    ran = engine.run("run", "--rm", "--pull=never", "--network", "none", "azmlinfsrv", "test", "--help")
    assert "usage: azmlinfsrv test" in ran.stdout
    ran = engine.run("run", "--rm", "--pull=never", "--network", "none", "azmlinfsrv", check=False)
    assert ran.returncode == 3
    assert "score.py" in ran.stdout + ran.stderr
