"""What VS Code is told: how to launch and to attach, tasks, a container to develop in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference_server.editor.merge import Identities

DEBUG_PORT = 5678
IMAGE = "azmlinfsrv-devcontainer:latest"  # images/devcontainer: the server, debugpy, watchfiles, pytest, git
APP_ROOT = "/var/azureml-app"  # where Azure ML's containers have the code
_ROOT = "${workspaceFolder}"
_PYTHON = "${command:python.interpreterPath}"  # the interpreter that was chosen in the editor
_FAILED = r"UserScriptError: (.*) \((.+), line (\d+)"
_STARTED = "ready for serving traffic"


@dataclass(frozen=True)
class Project:
    """A project, by paths from its folder, with slashes; "" for what it does not have."""

    script: str
    model_dir: str = ""
    request: str = ""
    requirements: str = ""
    port: int = 5001
    debug_port: int = DEBUG_PORT
    image: str = IMAGE
    python: str = ""  # of the script, where it is not the editor's

    def flags(self) -> list[str]:
        """What the server is started with."""
        words = ["--entry_script", self.script, "--port", str(self.port)]
        if self.model_dir:
            words += ["--model_dir", self.model_dir]
        return [*words, "--python", self.python] if self.python else words


@dataclass(frozen=True)
class File:
    """One file: where it lies, what belongs in it, and how the items of its lists are told apart."""

    path: str
    content: Callable[[Project], dict[str, Any]]
    identities: Identities


def _launch(project: Project) -> dict[str, Any]:
    here = {"host": "127.0.0.1", "port": project.debug_port}
    folder = project.script.rpartition("/")[0]
    below = f"/{folder}" if folder else ""
    return {
        "version": "0.2.0",
        "configurations": [
            {
                "name": "azmlinfsrv: launch",
                "type": "debugpy",
                "request": "launch",
                "module": "inference_server",
                "args": [*project.flags(), "--supervisor", "none"],
                "cwd": _ROOT,
                "console": "integratedTerminal",
                "subProcess": True,
                "env": {"WORKER_TIMEOUT": "0", "SCORING_TIMEOUT_MS": "0"},
            },
            {"name": "azmlinfsrv: attach", "type": "debugpy", "request": "attach", "connect": here},
            {
                "name": "azmlinfsrv: attach in container",
                "type": "debugpy",
                "request": "attach",
                "connect": here,
                "pathMappings": [{"localRoot": _ROOT + below, "remoteRoot": APP_ROOT + below}],
            },
        ],
    }


def _tasks(project: Project) -> dict[str, Any]:
    test = ["test", "--entry_script", project.script]
    if project.request:
        test += ["-r", project.request]
    debug = ["--debug"]
    if project.debug_port != DEBUG_PORT:
        debug += ["--debug_port", str(project.debug_port)]
    return {
        "version": "2.0.0",
        "tasks": [
            _task("azmlinfsrv: serve", project.flags(), **_background()),
            _task("azmlinfsrv: debug", [*project.flags(), *debug], **_background()),
            _task("azmlinfsrv: test", test, problemMatcher=[], group="test"),
        ],
    }


def _task(label: str, words: list[str], **more: Any) -> dict[str, Any]:
    command = ["-m", "inference_server", *words]
    return {"label": label, "type": "process", "command": _PYTHON, "args": command, **more}


def _background() -> dict[str, Any]:
    """A task that goes on; it is up once a worker says so."""
    return {
        "isBackground": True,
        "problemMatcher": {
            "owner": "azmlinfsrv",
            "fileLocation": "absolute",
            "pattern": {"regexp": _FAILED, "message": 1, "file": 2, "line": 3},
            "background": {
                "activeOnStart": True,
                "beginsPattern": "Azure ML Inferencing HTTP server",
                "endsPattern": _STARTED,
            },
        },
    }


def _devcontainer(project: Project) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": "azmlinfsrv",
        "image": project.image,
        "overrideCommand": True,
        "workspaceMount": f"source=${{localWorkspaceFolder}},target={APP_ROOT},type=bind",
        "workspaceFolder": APP_ROOT,
        "forwardPorts": [project.port],
        "customizations": {"vscode": {"extensions": ["ms-python.python", "ms-python.debugpy"]}},
    }
    if project.model_dir:
        content["containerEnv"] = {"AZUREML_MODEL_DIR": f"{APP_ROOT}/{project.model_dir}"}
    if project.requirements:
        content["postCreateCommand"] = f"pip install -r {project.requirements}"
    return content


FILES: Mapping[str, File] = {
    "launch": File(".vscode/launch.json", _launch, {"configurations": "name"}),
    "tasks": File(".vscode/tasks.json", _tasks, {"tasks": "label"}),
    "devcontainer": File(".devcontainer/devcontainer.json", _devcontainer, {}),
}
