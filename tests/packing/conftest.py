"""A folder with a deployment in it, and the command that packs it, without any engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.running import clean_environment
from tests.tools import require_module

DEPLOYMENT = """\
name: blue
endpoint_name: iris
model:
  path: model.joblib
code_configuration:
  code: .
  scoring_script: score.py
environment:
  conda_file:
    dependencies:
      - python=3.12
      - numpy
      - pip:
          - scikit-learn==1.7.2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A script, a model and deployment.yml."""
    require_module("yaml", "pyyaml")
    made = tmp_path / "iris"
    made.mkdir()
    (made / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    (made / "model.joblib").write_bytes(b"model")
    (made / "deployment.yml").write_text(DEPLOYMENT)
    return made


@pytest.fixture
def build(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`build(*words)`: the command in that folder, where no engine is installed."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        (folder.parent / "nothing").mkdir(exist_ok=True)
        environment = clean_environment(PATH=str(folder.parent / "nothing"), COLUMNS="120", NO_COLOR="1")
        return subprocess.run(
            [sys.executable, "-m", "inference_server", "build", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and link below a folder: its rights, its time, its content."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            status = path.lstat()
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            time = 0 if path.is_symlink() else int(status.st_mtime)
            found[str(path.relative_to(folder))] = (status.st_mode & 0o777, time, content)
    return found
