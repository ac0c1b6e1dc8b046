"""What docs/testing.md and docs/scaffold.md show is what comes out when it is done."""

from __future__ import annotations

import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.running import clean_environment
from tests.tools import ROOT, require_module

SAMPLE = ROOT / "sample_models" / "sklearn-iris"


class Stolen:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    require_module("sklearn", "scikit-learn==1.7.2")
    shutil.copy(SAMPLE / "model.joblib", tmp_path)
    return tmp_path


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def assert_shown(block: str, folder: Path) -> None:
    """The block's command prints the rest of the block, but for measured values and the folder's name."""
    line, _, shown = block.partition("\n")
    words = shlex.split(line.removeprefix("$ azmlinfsrv "))
    environment = clean_environment(COLUMNS="120", NO_COLOR="1")
    ran = subprocess.run(
        [sys.executable, "-m", "inference_server", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert measured(ran.stdout.replace(f"{folder}{os.sep}", "")) == measured(shown)


def measured(text: str) -> str:
    """`text` without times, sizes, versions and marks below code (they came with Python 3.11)."""
    text = re.sub(r"  peak \+[\d.]+ MB", "", text)
    text = re.sub(r"[\d.]+ (ms|s|MB)\b", r"N \1", text).replace("N s,", "N ms,")
    text = re.sub(r"Python 3\.\d+\.\d+", "Python 3", text)
    text = re.sub(r"open \S+, press", "open FOLDER, press", text)
    return re.sub(r"^ +[~^]+\n", "", text, flags=re.MULTILINE).strip()


def test_trying_a_script(folder: Path) -> None:
    shutil.copy(SAMPLE / "score.py", folder)
    (folder / "requests").mkdir()
    shutil.copy(SAMPLE / "request.json", folder / "requests" / "three-flowers.json")
    (folder / "requests" / "text-for-a-number.json").write_text('{"data": [[5.1, 3.5, 1.4, "wide"]]}')
    (block,) = blocks("testing.md", "console")
    assert_shown(block, folder)


def test_the_users_own_tests(folder: Path) -> None:
    shutil.copy(SAMPLE / "score.py", folder)
    (example,) = blocks("testing.md", "python")
    (folder / "test_score.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_score.py"]
    ran = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert "4 passed" in ran.stdout


def test_from_a_model_to_a_script(folder: Path) -> None:
    (folder / "stolen.pkl").write_bytes(pickle.dumps(Stolen()))
    init, stolen, vscode = blocks("scaffold.md", "console")
    (script,) = blocks("scaffold.md", "python")
    assert_shown(init, folder)
    assert (folder / "score.py").read_text() == script
    if os.name == "posix":
        assert_shown(stolen, folder)
    (folder / ".vscode").mkdir()
    (folder / ".vscode" / "launch.json").write_text("{}")
    assert_shown(vscode, folder)
