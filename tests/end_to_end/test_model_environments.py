"""--python_environment: the server makes what a file defines, serves in it, and follows the file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from inference_server.environments.serving import ModelEnvironment
from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import clean_environment, command, wait_for
from tests.environments.wheels import offline, wheel
from tests.scoring.driving import other_python
from tests.tools import missing
from tests.workers.pools import pool_of

SHAPES = """
    import sys, shapes
    def init(): pass
    def run(data): return [shapes.__version__, sys.prefix]
"""
SLOW = "import pathlib, time\npathlib.Path('{mark}').write_text('')\ntime.sleep(600)\n"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "wheels", "shapes", version)
    return tmp_path / "wheels"


def of(tmp_path: Path) -> dict[str, str]:
    return {"AZMLINFSRV_ENVIRONMENT_CACHE": str(tmp_path / "cache"), "PIP_CONFIG_FILE": os.devnull}


def env(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`azmlinfsrv env …`"""
    environ = clean_environment(**of(tmp_path))
    return subprocess.run(command("env", *words), capture_output=True, text=True, env=environ, timeout=60)


def listed(tmp_path: Path) -> list[dict[str, Any]]:
    return list(json.loads(env(tmp_path, "list", "--json").stdout))


def test_the_server_makes_it_keeps_it_and_follows_the_file(
    serve: Serve, tmp_path: Path, wheels: Path
) -> None:
    flags = ("--python_environment", "requirements.txt", "--reload")
    files = {"requirements.txt": offline(wheels, "shapes==1.0")}
    server = serve(SHAPES, *flags, files=files, env=of(tmp_path))
    version, prefix = server.score(1).json()
    assert version == "1.0"
    assert prefix.startswith(str(tmp_path / "cache"))
    assert "Environment of requirements.txt: installing packages (uv)" in server.log()

    (made,) = listed(tmp_path)
    assert made["users"] == [server.front_pid()]
    refused = env(tmp_path, "remove", made["key"])
    assert refused.returncode == 1
    assert f"{made['key']} stays: process {server.front_pid()} uses it" in refused.stderr
    assert env(tmp_path, "remove", "--all").stdout == "nothing to remove\n"

    definition = server.folder / "requirements.txt"
    definition.write_text(offline(wheels, "shapes==2.0"))
    wait_for(lambda: server.score(1).json()[0] == "2.0", 20, f"the new one is used; log:\n{server.log()}")
    definition.write_text(offline(wheels, "shapes==3.0"))
    server.wait_log("Not reloaded, the old code keeps serving: the environment of", 20)
    assert "we can conclude that your requirements are unsatisfiable" in server.log()
    assert server.score(1).json()[0] == "2.0"
    assert len(listed(tmp_path)) == 2

    os.kill(server.front_pid(), signal.SIGKILL)  # the next front finds it
    wait_for(lambda: server.answers("/livez"), 20, "a new front")
    definition.write_text(offline(wheels, "shapes==2.0"))
    wait_for(lambda: server.answers("/readyz"), 30, f"it serves again; log:\n{server.log()}")
    assert server.score(1).json()[0] == "2.0"
    assert server.stop() == 0
    removed = env(tmp_path, "remove", "--unused", "0").stdout
    assert removed.count("removed py") >= 2  # and a half of the third, if the stop ended its installer
    assert not listed(tmp_path)


def test_two_deployments_whose_packages_collide(serve: Serve, tmp_path: Path, wheels: Path) -> None:
    environ = of(tmp_path)
    prefixes = set()
    for version in ("1.0", "2.0"):
        (tmp_path / f"{version}.txt").write_text(offline(wheels, f"shapes=={version}"))
        made = env(tmp_path, "build", str(tmp_path / f"{version}.txt"))
        assert made.returncode == 0, made.stderr
        prefixes.add(made.stdout.removesuffix("/bin/python\n"))
    old = serve(SHAPES, "--python_environment", str(tmp_path / "1.0.txt"), env=environ)
    new = serve(
        SHAPES, "--python_environment", str(tmp_path / "2.0.txt"), env={**environ, "WORKER_PRELOAD": "true"}
    )
    assert [server.score(1).json()[0] for server in (old, new)] == ["1.0", "2.0"]
    assert {server.score(1).json()[1] for server in (old, new)} == prefixes
    assert "installing packages" not in old.log() + new.log()


def test_health_tells_what_is_being_made_and_a_stop_leaves_nothing(serve: Serve, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "backend.py").write_text(SLOW.format(mark=mark))
    (tmp_path / "slow" / "pyproject.toml").write_text(
        '[project]\nname = "slow"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    files = {"requirements.txt": f"--no-index\n{tmp_path / 'slow'}\n"}
    flags = ("--python_environment", "requirements.txt", "--worker_count", "2")
    server = serve(SHAPES, *flags, files=files, env=of(tmp_path), wait=False)
    wait_for(mark.exists, 30, "the build begins")
    assert server.get("/livez").status == 200
    ready = server.get("/readyz")
    assert ready.status == 503
    assert ready.json()["reason"].startswith("building the environment of requirements.txt: ")
    began = len(server.log())
    server.signal(signal.SIGTERM)
    assert server.wait(20) == 0, server.log()[began:]
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "conda.yml",
            "dependencies:\n  - cudatoolkit=11.8\n",
            "conda.yml:2: cudatoolkit is a conda package without",
        ),
        ("conda.yml", "dependencies: [python=3.7]\n", "Python 3.7 is too old"),
        ("requirements.txt", "--no-index\nnowhere\n", "nowhere is not on the package index"),
    ],
)
def test_one_that_cannot_be_made_ends_the_start(
    serve: Serve, tmp_path: Path, name: str, text: str, says: str
) -> None:
    server = serve(SHAPES, "--python_environment", name, files={name: text}, env=of(tmp_path), wait=False)
    assert server.wait() == 3
    assert says in server.log()
    assert "Traceback" not in server.log()


# ------------------------------------------------------------ from the index

DIGITS = """
    import json, platform, sys
    import numpy, sklearn
    from sklearn.linear_model import LogisticRegression
    def init():
        global model
        model = LogisticRegression().fit(numpy.arange(20).reshape(-1, 1), [0] * 10 + [1] * 10)
    def run(data):
        versions = [platform.python_version_tuple()[:2], numpy.__version__, sklearn.__version__]
        return [*versions, model.predict([[json.loads(data)]]).tolist()]
"""
CONDA = """
    name: old
    dependencies:
      - python=3.8
      - scikit-learn=1.2
      - pip:
        - numpy<2
"""


@pytest.mark.system
@pytest.mark.timeout(240)  # where nothing of it was ever downloaded
def test_scikit_learn_of_two_ages_on_two_pythons_in_one_process(tmp_path: Path) -> None:
    for version in ("3.8", "3.12"):
        if other_python(version) is None:
            missing(f"needs a Python {version}")
    (tmp_path / "conda.yml").write_text("\n".join(line[4:] for line in CONDA.splitlines()))
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "new"\nrequires-python = "==3.12.*"\ndependencies = ["scikit-learn>1.5", "numpy>=2"]\n'
    )
    asyncio.run(_side_by_side(tmp_path))


async def _side_by_side(folder: Path) -> None:
    """Two pools of one process, each with workers of its own environment."""
    async with AsyncExitStack() as stack:
        pools = []
        for name in ("conda.yml", "pyproject.toml"):
            environment = ModelEnvironment(str(folder / name), str(folder / "cache"), os.environ)
            pools.append(
                await stack.enter_async_context(pool_of(folder, DIGITS, model_environment=environment))
            )
        for number in (1, 15):
            old, new = await asyncio.gather(*(pool.ask(number) for pool in pools))
            assert (old[0], new[0]) == (["3", "8"], ["3", "12"])
            assert (old[1][:2], old[2][:4]) == ("1.", "1.2.")
            assert int(new[1].split(".")[0]) >= 2
            assert tuple(map(int, new[2].split(".")[:2])) > (1, 5)
            assert old[3] == new[3] == [int(number > 9)]
