"""`azmlinfsrv build` with real engines: what comes out serves, and what does not build says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.images.conftest import Engine, Run
from tests.tools import require_module, require_tool

pytestmark = pytest.mark.system

SCRIPT = """
import os, starlette

def init():
    global text
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as file:
        text = file.read()

def run(data):
    return {"model": text, "starlette": starlette.__version__, "mode": os.environ["MODE"], "beside": os.path.islink("model.txt")}
"""
DEPLOYMENT = """\
name: blue
endpoint_name: built
model:
  path: model.txt
code_configuration:
  code: .
  scoring_script: score.py
environment:
  conda_file:
    dependencies: [python=3.11, {pip: [starlette==0.13.0]}]
environment_variables:
  MODE: a "quoted" $value
"""
TAG = "test-built:latest"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    require_module("yaml", "pyyaml")
    made = tmp_path / "code"
    made.mkdir()
    (made / "score.py").write_text(SCRIPT)
    (made / "model.txt").write_text("weights")
    (made / "deployment.yml").write_text(DEPLOYMENT)
    return made


def build(engine: Engine, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inference_server", "build", *words],
        cwd=folder,
        env={**engine.environment, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_from_deployment_to_answer(engine: Engine, folder: Path, run: Run) -> None:
    """The model's old starlette is the model's alone: the server runs on its own."""
    ran = build(engine, folder, "--engine", "podman", "--tag", TAG)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"next  podman run --rm -p 127.0.0.1:5001:5001 {TAG}" in ran.stdout
    container = run(TAG)
    container.wait_ready()
    assert container.score({}) == {
        "model": "weights",
        "starlette": "0.13.0",
        "mode": 'a "quoted" $value',
        "beside": True,
    }


@pytest.mark.parametrize(
    ("change", "words", "lines", "said"),
    [
        (
            ("starlette==0.13.0", "starlette==999"),
            (),
            "ERROR: No matching distribution found for starlette==999",
            "there is no such package for the base's Python",
        ),
        (
            ("python=3.11", "python=3.12"),
            ("--base", "azmlinfsrv"),
            "this base has Python 3.11",
            "could not build",
        ),
        (("name", "name"), ("--base", "python:3.11-slim"), "this base has no azmlinfsrv", "could not build"),
        (
            ("name", "name"),
            ("--base", "azmlinfsrv:gone"),
            "azmlinfsrv:gone",
            "`make images` in the project's folder",
        ),
    ],
)
def test_what_does_not_build_says_why(
    engine: Engine, folder: Path, change: tuple[str, str], words: tuple[str, ...], lines: str, said: str
) -> None:
    require_tool("buildah")
    (folder / "deployment.yml").write_text(DEPLOYMENT.replace(*change))
    ran = build(engine, folder, "--engine", "podman", *words)  # the last --engine counts
    assert ran.returncode == 1
    assert lines in ran.stdout.partition("building ")[2]
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
