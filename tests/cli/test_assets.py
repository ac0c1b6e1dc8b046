"""azmlinfsrv model and azmlinfsrv environment: the commands as a script written for az runs them, and killed in the middle."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.cli import main
from inference_server.platform.home import Home
from inference_server.platform.resolving import resolve
from inference_server.platform.store import Store
from tests.tools import small_disk

Run = Callable[..., "subprocess.CompletedProcess[str]"]
_ENVIRONMENT = """\
$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json
name: iris-env
image: base:latest
conda_file: conda.yml
tags:
  team: search
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    own = {
        "AZMLINFSRV_HOME": str(tmp_path / "home"),
        "AZMLINFSRV_STORAGE_CACHE_DIR": str(tmp_path / "cache"),
    }
    return {**os.environ, **own}


@pytest.fixture
def run(tmp_path: Path, environ: dict[str, str]) -> Run:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "inference_server", *words]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    return folder


def test_models_as_a_script_for_az_handles_them(run: Run, model: Path, tmp_path: Path) -> None:
    made = run(
        "model",
        "create",
        "--na",
        "iris",
        "--pa",
        "model",
        "--tags",
        "team=search",
        "tier=2",
        "-g",
        "rg",
        "-w",
        "ws",
    )
    assert (made.returncode, made.stderr) == (0, "")
    shown = json.loads(made.stdout)
    assert shown["path"] == str(tmp_path / "home" / "azureml-models" / "iris" / "1" / "model")
    assert Path(shown["path"], "model.bin").read_bytes() == b"weights"
    assert {name: shown[name] for name in ("name", "version", "type", "tags", "labels", "resourceGroup")} == {
        "name": "iris",
        "version": "1",
        "type": "custom_model",
        "tags": {"team": "search", "tier": "2"},
        "labels": ["latest"],
        "resourceGroup": "rg",
    }
    assert shown["id"].endswith(
        "/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws/models/iris/versions/1"
    )
    (tmp_path / "model.yml").write_text(
        "name: iris\npath: model\ntype: custom_model\ndescription: the second\n"
    )
    second = run(
        "model",
        "create",
        "-f",
        "model.yml",
        "--set",
        "tags.team=ads",
        "--query",
        "[version, tags.team]",
        "-o",
        "tsv",
    )
    assert second.stdout == "2\nads\n"
    (model / "model.bin").write_bytes(b"other weights")
    refused = run("model", "create", "--file", "model.yml", "--version", "2")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        "azmlinfsrv model create: error: model 'iris' version 2 is registered with another"
    )
    assert refused.stderr.count("\n") == 1
    assert run("model", "archive", "-n", "iris", "-v", "2").stdout == ""
    assert (
        run("model", "show", "-n", "iris", "-l", "latest", "--query", "version", "-o", "tsv").stdout == "1\n"
    )
    assert run(
        "model", "list", "--query", "[].{Name: name, Latest: latest_version}", "-o", "table"
    ).stdout == ("Name    Latest\n------  --------\niris    1\n")
    listed = run(
        "model", "list", "--name", "iris", "--include-archived", "--query", "[].version", "-o", "tsv"
    )
    assert listed.stdout == "2\n1\n"
    run("model", "restore", "-n", "iris")
    assert json.loads(run("model", "show", "-n", "iris", "-v", "2").stdout)["archived"] is False


def test_environments_as_a_script_for_az_handles_them(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conda.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - numpy\n")
    (tmp_path / "env.yml").write_text(_ENVIRONMENT)
    made = run("environment", "create", "-f", "env.yml", "-o", "json")
    assert (made.returncode, made.stderr) == (0, "")
    shown = json.loads(made.stdout)
    assert (shown["image"], shown["conda_file"]) == (
        "base:latest",
        {"dependencies": ["python=3.11", {"pip": ["numpy"]}]},
    )
    context = tmp_path / "context"
    context.mkdir()
    wrong = run("environment", "create", "-n", "built", "--build-context", "context")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    (context / "Dockerfile").write_text("FROM scratch\n")
    built = json.loads(run("environment", "create", "-n", "built", "--build-context", "context").stdout)
    assert (Path(built["build"]["path"]) / built["build"]["dockerfile_path"]).read_text() == "FROM scratch\n"
    names = run("environment", "list", "--query", "[].name", "-o", "yaml")
    assert names.stdout == "- built\n- iris-env\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["model", "create", "-n", "iris"],
            2,
            "give -n NAME and -p PATH, or -f FILE; see azmlinfsrv model create --help",
        ),
        (
            ["model", "create", "-n", "a b", "-p", "model"],
            1,
            "the flags: name: got 'a b', write a letter or digit",
        ),
        (["model", "create", "-n", "iris", "-p", "nowhere"], 1, "nowhere does not exist"),
        (
            ["model", "create", "-n", "iris", "-p", "model", "-t", "mlflow_model"],
            1,
            "a folder with a file MLmodel in it",
        ),
        (
            ["model", "create", "-n", "iris", "-p", "ftp://host/x"],
            1,
            "sources of the form ftp: are not known",
        ),
        (
            ["model", "create", "-n", "iris", "-p", "model", "--tags", "x"],
            2,
            "--tags expects NAME=VALUE, got 'x'",
        ),
        (["model", "create", "-f", "bad.yml"], 1, "bad.yml:2: pth: is no field here, write path"),
        (["model", "show", "-n", "iris"], 2, "give -v VERSION or -l LABEL, such as -l latest"),
        (["model", "show", "-n", "iris", "-l", "latest"], 1, "there is no model 'iris'"),
        (["model", "show", "--v", "1"], 2, "ambiguous option: --v could match --version, --verbose"),
        (["model", "list", "--query", "a["], 2, "'a[' is no JMESPath"),
        (["model", "list", "-r", "0"], 2, "expects a whole number of 1 or more, got '0'"),
        (["model", "destroy"], 2, "invalid choice: 'destroy' (choose from"),
        (["environment", "create", "-n", "e"], 1, "environment 'e' is made of nothing"),
    ],
)
def test_wrong_use_is_one_sentence(
    model: Path,
    tmp_path: Path,
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    (tmp_path / "bad.yml").write_text("name: iris\npth: model\npath: model\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", environ)
    assert main(words) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1, err


def test_commands_that_are_killed_leave_whole_versions(
    run: Run, environ: dict[str, str], tmp_path: Path
) -> None:
    """Two at a time, killed at a random instant: each version that is there is whole, and no number was given twice."""
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.bin").write_bytes(os.urandom(20_000))
    command = [
        sys.executable,
        "-m",
        "inference_server",
        "model",
        "create",
        "-n",
        "iris",
        "-p",
        "large",
        "--query",
        "version",
    ]
    chance, printed = random.Random(11), []
    for turn in range(6):
        running = [
            subprocess.Popen(
                command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for _ in range(2)
        ]
        for process in running:
            try:
                out, err = process.communicate(timeout=chance.uniform(0.2, 0.6) if turn < 5 else 30)
                assert process.returncode == 0, err
                printed.append(json.loads(out))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
    assert len(printed) == len(set(printed)) >= 2
    with Store(Home(tmp_path / "home")) as store:
        listed = json.loads(run("model", "list", "-n", "iris", "--query", "[].version").stdout)
        assert set(printed) <= set(listed)
        for version in listed:
            assert len(list(resolve(store, f"azureml:iris:{version}", "model").path.iterdir())) == 30
    assert run("model", "create", "-n", "iris", "-p", "large").returncode == 0
    assert list((tmp_path / "home" / "incoming").iterdir()) == []


def test_a_disk_that_is_full_changes_nothing(
    run: Run, model: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "home", "1m") as home:
        assert run("model", "create", "-n", "iris", "-p", "model").returncode == 0
        (model / "model.bin").write_bytes(os.urandom(2 << 20))
        ended = run("model", "create", "-n", "iris", "-p", "model")
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1), ended.stderr
        assert "free" in ended.stderr
        assert run("model", "list", "-n", "iris", "--query", "[].version", "-o", "tsv").stdout == "1\n"
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        ended = run("model", "create", "-n", "iris", "-p", "model")
        assert (ended.returncode, ended.stderr.count("\n")) == (3, 1), ended.stderr
        assert "cannot be written" in ended.stderr
