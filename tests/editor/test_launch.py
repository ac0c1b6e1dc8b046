"""The launch configuration that `azmlinfsrv vscode` writes, given to a real debug adapter as the editor does."""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from inference_server.cli import main
from tests.end_to_end.dap import Editor
from tests.end_to_end.running import Server, clean_environment, free_port, wait_for

SCRIPT = """\
def init():
    global loaded
    loaded = "yes"


def run(data):
    answer = data + "!"
    return answer
"""


class Session(Editor):
    """What an editor opens for a process that the debugged one has started."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self._sock.makefile("rb")
        self._seq = 0
        self.messages: list[dict[str, Any]] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._sock.close()


class Started(Server):
    """A server that somebody else has started."""

    def __init__(self, port: int) -> None:
        self.port = port


def configuration(folder: Path, name: str) -> dict[str, Any]:
    """One of launch.json, with the editor's variables filled in."""
    text = (folder / ".vscode" / "launch.json").read_text().replace("${workspaceFolder}", str(folder))
    return next(item for item in json.loads(text)["configurations"] if item["name"] == name)


def test_launched_from_the_editor_it_stops_in_init_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    (tmp_path / "score.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    assert main(["vscode", "--port", str(port)]) == 0
    launch = configuration(tmp_path, "azmlinfsrv: launch")
    launch.update(console="internalConsole", python=[sys.executable])  # no terminal of an editor here
    launch["env"].update({"PYTHONPATH": clean_environment()["PYTHONPATH"]})
    with Editor() as front:
        front.send("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True)
        front.send("launch", **launch)
        front.go({})
        attach = front.event("debugpyAttach")
        with Session(attach["connect"]["port"]) as worker:
            worker.send("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True)
            worker.send("attach", **attach)
            worker.go({tmp_path / "score.py": [3, 8]})
            stop_at(worker, 3)
            server = Started(port)
            wait_for(lambda: server.answers("/readyz"), 30)
            replies: list[Any] = []
            asking = threading.Thread(target=lambda: replies.append(server.ask("POST", "/score", "hello")))
            asking.start()
            thread, frame = stop_at(worker, 8, go_on=False)
            assert (
                worker.ask("evaluate", expression="answer + loaded", frameId=frame)["result"] == "'hello!yes'"
            )
            assert server.get("/livez").status == 200  # while run() stands still
            worker.send("continue", threadId=thread)
            asking.join(20)
            assert replies[0].json() == "hello!"
        front.ask("disconnect", terminateDebuggee=True)
    capfd.readouterr()


def stop_at(worker: Editor, line: int, go_on: bool = True) -> tuple[int, int]:
    """(thread, frame) where the worker stands, after it has stopped at that line."""
    thread = worker.event("stopped")["threadId"]
    frame = worker.ask("stackTrace", threadId=thread)["stackFrames"][0]
    assert (Path(frame["source"]["path"]).name, frame["line"]) == ("score.py", line)
    if go_on:
        worker.send("continue", threadId=thread)
    return thread, frame["id"]
