"""docs/images.md, word for word: its docker commands through podman's socket, its output of azmlinfsrv build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference_server import __version__
from tests.docs.test_walkthroughs import assert_shown, blocks
from tests.end_to_end.running import clean_environment, free_port
from tests.tools import ROOT, require_module

PORT = "127.0.0.1:5001"


@pytest.mark.system
@pytest.mark.timeout(300)
def test_bring_your_own(docker: dict[str, str]) -> None:
    """As written, but for the port, which may be taken on this machine."""
    block = blocks("images.md", "console")[0]
    mine = f"127.0.0.1:{free_port()}"
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).+\n)*)", block, re.MULTILINE):
        ran = subprocess.run(
            ["bash", "-c", command.replace(PORT, mine)],
            cwd=ROOT,
            env=docker,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        if shown:
            assert ran.stdout.strip() == shown.strip()


def test_the_example_is_what_the_page_shows() -> None:
    shown = blocks("images.md", "dockerfile")[0]
    written = (ROOT / "images" / "byoc" / "Dockerfile").read_text()
    assert [line for line in written.splitlines() if not line.startswith("#")] == shown.splitlines()


def test_what_build_shows(tmp_path: Path) -> None:
    require_module("yaml", "pyyaml")
    require_module("sklearn", "scikit-learn==1.7.2")
    folder = tmp_path / "iris"
    folder.mkdir()
    shutil.copy(ROOT / "sample_models" / "sklearn-iris" / "model.joblib", folder)
    init = [os.path.join(os.path.dirname(sys.executable), "azmlinfsrv"), "init", "model.joblib", "--no_try"]
    subprocess.run(init, cwd=folder, env=clean_environment(), check=True, capture_output=True)
    block = blocks("images.md", "console")[1]
    version = ".".join(map(str, sys.version_info[:2]))
    block = block.replace(":0.1.0-py3.11", f":{__version__}-py{version}")
    assert_shown(block, folder)
