"""AZUREML_DEBUG_PORT: the script under a debugger that listens, as an editor's does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.end_to_end.conftest import Serve
from tests.end_to_end.load import Asking
from tests.end_to_end.running import free_port
from tests.tools import require_module

SCRIPT = """
    import json

    def init():
        global model
        model = 41

    def run(data):
        value = json.loads(data)
        answer = model + value
        return answer
"""


def test_a_debugger_stops_in_init_and_in_run(serve: Serve) -> None:
    require_module("debugpy")
    from tests.end_to_end.dap import Editor

    with Editor() as editor:
        editor.listen()
        server = serve(SCRIPT, env={"AZUREML_DEBUG_PORT": str(editor.port)}, wait=False)
        editor.go({server.folder / "score.py": [6, 11]})
        thread = editor.event("stopped")["threadId"]  # init() has not run yet
        assert server.get("/readyz").status == 503
        editor.send("continue", threadId=thread)
        server.wait_ready()
        warnings = [line for line in server.log().splitlines() if "!! " in line]
        assert len(warnings) == 2
        assert str(editor.port) in warnings[0]
        asked = Asking(server, 1)
        thread = editor.event("stopped")["threadId"]
        frame = editor.ask("stackTrace", threadId=thread)["stackFrames"][0]
        assert (frame["name"], frame["line"]) == ("run", 11)
        assert editor.ask("evaluate", expression="model + value", frameId=frame["id"])["result"] == "42"
        editor.send("continue", threadId=thread)
        assert asked.reply().json() == 42


def test_without_debugpy_or_without_a_debugger_the_start_fails_and_says_what_to_do(
    serve: Serve, tmp_path: Path
) -> None:
    require_module("debugpy")
    port = free_port()
    server = serve(SCRIPT, env={"AZUREML_DEBUG_PORT": str(port)}, wait=False)
    assert server.wait() == 3
    assert f"No debugger listens on port {port} (AZUREML_DEBUG_PORT)" in server.log()

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    server = serve(
        SCRIPT, "--python", str(tmp_path / "empty"), env={"AZUREML_DEBUG_PORT": str(port)}, wait=False
    )
    assert server.wait() == 3
    assert "pip install 'azmlinfsrv[dev]'" in server.log()
    assert "Traceback" not in server.log()
