"""`azmlinfsrv vscode`: the files it writes, and what it does to those that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inference_server.cli import main
from inference_server.editor.jsonc import parse

FILES = [".vscode/launch.json", ".vscode/tasks.json", ".devcontainer/devcontainer.json"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def read(name: str) -> Any:
    return parse(Path(name).read_text()).value


def test_a_new_project(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("src/score.py", "requirements.txt", "sample-request.json", "model/m.onnx"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    words = [
        "--entry_script",
        "src/score.py",
        "--model_dir",
        "model",
        "--port",
        "8080",
        "--debug_port",
        "6000",
    ]
    assert main(["vscode", *words]) == 0
    out = capfd.readouterr().out
    assert [line.split() for line in out.splitlines()[:3]] == [["wrote", name] for name in FILES]
    launch, attach, container = read(FILES[0])["configurations"]
    flags = ["--entry_script", "src/score.py", "--port", "8080", "--model_dir", "model"]
    assert launch["args"] == [*flags, "--supervisor", "none"]
    assert attach["connect"] == container["connect"] == {"host": "127.0.0.1", "port": 6000}
    assert container["pathMappings"] == [
        {"localRoot": "${workspaceFolder}/src", "remoteRoot": "/var/azureml-app/src"}
    ]
    serve, debug, test = read(FILES[1])["tasks"]
    assert serve["args"] == ["-m", "inference_server", *flags]
    assert debug["args"] == [*serve["args"], "--debug", "--debug_port", "6000"]
    assert test["args"][2:] == ["test", "--entry_script", "src/score.py", "-r", "sample-request.json"]
    devcontainer = read(FILES[2])
    assert devcontainer["image"] == "azmlinfsrv-devcontainer:latest"
    assert Path(__file__).parents[2].joinpath("images", "devcontainer", "Dockerfile").is_file()
    assert devcontainer["forwardPorts"] == [8080]
    assert devcontainer["containerEnv"] == {"AZUREML_MODEL_DIR": "/var/azureml-app/model"}
    assert devcontainer["postCreateCommand"] == "pip install -r requirements.txt"


def test_a_second_run_changes_nothing_and_force_replaces_ours(capfd: pytest.CaptureFixture[str]) -> None:
    main(["vscode"])
    before = [Path(name).read_bytes() for name in FILES]
    assert main(["vscode"]) == 0
    assert [Path(name).read_bytes() for name in FILES] == before
    main(["vscode", "--port", "8080"])
    assert read(FILES[0])["configurations"][0]["args"][3] == "5001"
    said = capfd.readouterr().out
    assert "unchanged .vscode/launch.json\n" in said
    assert (
        said.count("--force replaces ours") == 1
    )  # of three runs only the last one asked for something else
    main(["vscode", "--port", "8080", "--force"])
    assert capfd.readouterr().out.startswith("merged    .vscode/launch.json\n")
    assert read(FILES[0])["configurations"][0]["args"][3] == "8080"
    assert len(read(FILES[0])["configurations"]) == 3


def test_what_is_there_stays(capfd: pytest.CaptureFixture[str]) -> None:
    Path(".devcontainer").mkdir()
    Path(".vscode").mkdir()
    mine = '{\n  // our image\n  "image": "ours:1",\n  "customizations": {"vscode": {"extensions": ["a.b"]}}\n}\n'
    Path(FILES[2]).write_text(mine)
    Path(FILES[0]).write_text('{"version": "0.2.0", "configurations": [{"name": "mine"}] /* x */}')
    assert main(["vscode"]) == 0
    assert read(FILES[2])["image"] == "ours:1"
    assert read(FILES[2])["customizations"]["vscode"]["extensions"] == [
        "a.b",
        "ms-python.python",
        "ms-python.debugpy",
    ]
    assert "// our image" in Path(FILES[2]).read_text()
    assert read(FILES[0])["configurations"][0]["name"] == "mine"
    assert "/* x */" in Path(FILES[0]).read_text()


def test_a_broken_file_is_left_alone_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    Path(".vscode").mkdir()
    Path(FILES[1]).write_text('{"tasks": [\n')
    assert main(["vscode"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line == (
        "azmlinfsrv vscode: error: .vscode/tasks.json is not JSON with comments (line 2: expected a value, found the "
        "end): mend it or move it away"
    )
    assert not Path(FILES[0]).exists()
    assert main(["vscode", "nowhere"]) == 2


def test_the_problem_matcher_finds_the_scripts_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main(["vscode"])
    pattern = read(FILES[1])["tasks"][0]["problemMatcher"]["pattern"]
    Path("score.py").write_text("def init(): pass\ndef run(data): return 1 +\n")
    main(["test", "--verbose"])
    found = re.search(pattern["regexp"], capfd.readouterr().err)
    assert found is not None
    assert found[pattern["file"]] == str(tmp_path / "score.py")
    assert found[pattern["line"]] == "2"


def test_the_files_are_plain_json() -> None:
    main(["vscode"])
    for name in FILES:
        json.loads(Path(name).read_text())


def test_a_file_that_cannot_be_written_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    Path(FILES[1]).mkdir(parents=True)
    assert main(["vscode"]) == 1
    assert (
        capfd.readouterr().err == f"azmlinfsrv vscode: error: {FILES[1]} cannot be written: Is a directory\n"
    )
