"""`azmlinfsrv build` where there is no engine: what it writes, and what it says to bad input."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server import __version__
from tests.packing.conftest import DEPLOYMENT, tree

Build = Callable[..., subprocess.CompletedProcess[str]]


def test_what_is_written(folder: Path, build: Build) -> None:
    (folder / ".env").write_text("PASSWORD=1")
    (folder / "data").mkdir()
    (folder / "data" / "train.csv").write_text("1")
    (folder / ".dockerignore").write_text("data\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "score.cpython-311.pyc").write_bytes(b"")
    first = build("--output", "out")
    assert first.returncode == 0, first.stderr
    assert "secrets do not belong into an image: .env" in first.stdout
    assert f"on azmlinfsrv:{__version__}-py3.12" in first.stdout
    written = tree(folder / "out")
    assert set(written) == {
        "Dockerfile",
        "requirements.txt",
        "azureml-models/model/1/model.joblib",
        "iris/deployment.yml",
        "iris/model.joblib",
        "iris/score.py",
    }
    assert sorted(written["requirements.txt"][2].split()) == [b"numpy", b"scikit-learn==1.7.2"]
    assert (folder / "out" / "iris" / "model.joblib").read_bytes() == b"model"
    assert (folder / "out" / "iris" / "model.joblib").is_symlink()
    text = written["Dockerfile"][2].decode()
    assert 'AML_APP_ROOT="/var/azureml-app/iris"' in text
    assert 'AZUREML_MODEL_DIR="/var/azureml-app/azureml-models/model/1"' in text
    os.utime(folder / "score.py", (1, 1))
    assert build("--output", "out").returncode == 0  # its own result is replaced
    assert tree(folder / "out") == written


def test_without_an_engine_it_is_written_beside(folder: Path, build: Build) -> None:
    ran = build()
    assert ran.returncode == 3
    assert "docker is not installed; podman is not installed; buildah is not installed" in ran.stdout
    assert (folder / "iris-blue-image" / "Dockerfile").is_file()
    assert "next  docker build -t iris-blue:latest iris-blue-image" in ran.stdout


def test_a_script_alone(folder: Path, build: Build) -> None:
    (folder / "requirements.txt").write_text("scikit-learn==1.7.2\n")
    ran = build(
        "score.py", "--model", "model.joblib", "--output", "../out", "--base", "mine:1", "--tag", "x:2"
    )
    assert ran.returncode == 0, ran.stderr
    text = (folder.parent / "out" / "Dockerfile").read_text()
    assert "\nFROM mine:1\n" in text
    assert "docker build -t x:2" in ran.stdout


@pytest.mark.parametrize("flag", ["--tag", "--base"])
def test_a_name_that_is_none_of_an_image(folder: Path, build: Build, flag: str) -> None:
    for name in ("my image", "x\nRUN id", "-x", ":7"):
        ran = build("--output", "out", f"{flag}={name}")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert f"{name!r} is no name of an image" in ran.stderr
        assert not (folder / "out").exists()


def test_a_model_that_lies_elsewhere(folder: Path, build: Build) -> None:
    """It is not fetched for an image; the script will look for it where it is brought to."""
    text = DEPLOYMENT.replace("path: model.joblib", "path: az://models/iris\n  name: iris\n  version: 3")
    (folder / "deployment.yml").write_text(text)
    ran = build("--output", "out")
    assert ran.returncode == 0, ran.stderr
    assert "/var/azureml-app/azureml-models/iris/3 before the server starts" in ran.stdout
    written = (folder / "out" / "Dockerfile").read_text()
    assert 'AZUREML_MODEL_DIR="/var/azureml-app/azureml-models/iris/3"' in written
    assert not (folder / "out" / "azureml-models").exists()


def test_variables(folder: Path, build: Build) -> None:
    """Values stay what they are; what looks like a secret stays out, a reference to one does not."""
    (folder / "deployment.yml").write_text(
        DEPLOYMENT
        + "environment_variables:\n"
        + "  API_KEY: abc123\n"
        + "  DB_PASSWORD: ${{keyvault:https://v.vault.azure.net/secrets/db/1}}\n"
        + "  PRICE: 'a \"b\" $HOME \\ c'\n"
        + "  RATE: 1.10\n"
    )
    ran = build("--output", "out")
    text = (folder / "out" / "Dockerfile").read_text()
    assert "abc123" not in text + ran.stdout
    assert "API_KEY looks like a secret" in ran.stdout
    assert r'DB_PASSWORD="\${{keyvault:https://v.vault.azure.net/secrets/db/1}}"' in text
    assert r'PRICE="a \"b\" \$HOME \\ c"' in text
    assert 'RATE="1.10"' in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("score.py\n", "other.py\n"),
            "deployment.yml:7: code_configuration.scoring_script: there is no other.py",
        ),
        (("score.py\n", "../score.py\n"), "lies outside of the code folder"),
        (("code: .", "code: src"), "deployment.yml:6: code_configuration.code: src does not exist"),
        (("model.joblib", "gone.joblib"), "deployment.yml:4: model.path: gone.joblib does not exist"),
        (
            ("code_configuration", "code_config"),
            "deployment.yml:5: code_config: is no field here, write code_configuration",
        ),
        (("code_configuration:\n  code: .\n  scoring_script: score.py\n", ""), "has no code_configuration"),
        (("- numpy", "- ffmpeg"), "environment.conda_file: ffmpeg"),
        (("python=3.12", "python=3.8"), "asks for Python"),
        (("name: blue", "name: {{NAME}}"), "deployment.yml:1"),
        (("name: blue", "name: <NAME>"), "<NAME> is a placeholder"),
        (("name: blue", "name: [blue"), "is no YAML"),
        (("name: blue", "name: blue\nname: green"), "deployment.yml:2: name: stands here twice"),
        (
            (
                "  conda_file",
                "  image: a:1\n  inference_config: {scoring_route: {path: /, port: 80}}\n  conda_file",
            ),
            "deployment.yml:10: environment.inference_config: the image is a server of its own",
        ),
        (
            ("- scikit-learn==1.7.2", "- --extra-index-url https://me:pw@example.org/simple"),
            "a user's name or password",
        ),
    ],
)
def test_bad_deployments(folder: Path, build: Build, change: tuple[str, str], said: str) -> None:
    """One sentence, with the line where there is one; nothing is written."""
    text = DEPLOYMENT.replace(*change)
    assert text != DEPLOYMENT
    (folder / "deployment.yml").write_text(text)
    ran = build("--output", "out")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert said in ran.stderr, ran.stderr
    assert ran.stderr.startswith("azmlinfsrv build: error: ")
    assert len(ran.stderr.splitlines()) == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("gone.yml",), 1, "there is no gone.yml"),
        (("model.joblib",), 1, "expects deployment.yml or a script"),
        (("--engine", "podman"), 1, "podman is not installed"),
        (("--engine", "podman", "--output", "out"), 2, "--output only writes"),
        (("--model", "model.joblib"), 2, "--model goes with a script"),
        (("--output", "."), 1, "not from an earlier build"),
        (("--output", "no/such/folder"), 1, "there is no folder"),
    ],
)
def test_wrong_use(build: Build, words: tuple[str, ...], code: int, said: str) -> None:
    ran = build(*words)
    assert ran.returncode == code
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_what_the_scaffold_writes_can_be_packed(folder: Path, build: Build) -> None:
    from inference_server.scaffold.files import files_for, write

    write(files_for(None, folder), folder, force=True)
    ran = build("--output", "out", "--requirements", "requirements.txt")
    assert ran.returncode == 0, ran.stderr
    ran = build("--output", "out")
    assert ran.returncode == 0, ran.stderr
    assert "brings Microsoft's server: ours takes its place" in ran.stdout
