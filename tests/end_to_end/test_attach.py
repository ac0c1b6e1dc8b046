"""--debug: an editor attaches to the script in the running server, stops in it, and follows it when it is reloaded."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference_server.cli import main
from inference_server.editor.vscode import APP_ROOT
from tests.end_to_end.conftest import Serve
from tests.end_to_end.load import Asking
from tests.end_to_end.running import Server, alive, free_port, wait_for
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
IN_INIT, IN_RUN = 6, 10


def doors(server: Server) -> list[int]:
    """Where editors can attach, in the order of the workers."""
    found = re.findall(r"Debugging worker (\d+): attach your editor to 127\.0\.0\.1:(\d+)", server.log())
    return [int(port) for _, port in sorted(found)]


HELD_SECONDS = 1.0  # in hand for so long, it is not just passing


def holds_one(server: Server, asked: list[Asking]) -> bool:
    """Whether a breakpoint holds a request; until then, more are sent, each time as many as there are workers."""
    if all(one.done for one in asked):
        asked += [Asking(server, 1) for _ in server.workers()]
    return any(worker["in_hand"] and worker["since_s"] > HELD_SECONDS for worker in server.workers())


def test_an_editor_stops_in_init_and_in_run_and_sees_the_next_save(serve: Serve) -> None:
    require_module("debugpy")
    require_module("watchfiles")
    from tests.end_to_end.dap import Attached

    limits = {"SCORING_TIMEOUT_MS": "100", "WORKER_TIMEOUT": "1", "WORKER_COUNT": "3"}
    arguments = ("--debug_wait", "--debug_port", str(free_port()), "--reload", "--max_batch_size=1")
    server = serve(SCRIPT, *arguments, env=limits, wait=False)
    port = wait_for(lambda: doors(server), 20)[0]
    script = server.folder / "score.py"
    wait_for(lambda: "waits for an editor" in server.get("/readyz").body.decode(), 20)

    began = time.monotonic()
    with Attached(port, {script: [IN_INIT, IN_RUN]}) as editor:
        thread, frame = editor.stopped()
        took = time.monotonic() - began
        assert (frame["name"], frame["line"]) == ("init", IN_INIT)
        assert server.get("/readyz").status == 503
        editor.send("continue", threadId=thread)
        server.wait_ready()
        assert len(server.workers()) == 1

        asked = Asking(server, 1, {"x-ms-request-timeout-ms": "200"})
        thread, frame = editor.stopped()
        assert (frame["name"], frame["line"]) == ("run", IN_RUN)
        held = time.monotonic()
        while time.monotonic() < held + 1.2:  # longer than every limit
            assert server.get("/livez").status == 200
        assert not asked.done
        assert editor.value(frame, "model + value") == "42"
        editor.send("next", threadId=thread)
        thread, frame = editor.stopped()
        assert frame["line"] == IN_RUN + 1
        assert editor.value(frame, "answer") == "42"
        editor.send("continue", threadId=thread)
        assert asked.reply().json() == 42

        script.write_text(script.read_text().replace("41", "100"))
        assert editor.event("terminated") == {"restart": True}
        editor.ask("disconnect", restart=True)

    with Attached(port, {script: [IN_INIT, IN_RUN]}) as editor:  # what the editor does then
        thread, frame = editor.stopped()
        assert (frame["name"], frame["line"]) == ("init", IN_INIT)
        editor.send("continue", threadId=thread)
        wait_for(lambda: "Reloaded" in server.log())
        asked = Asking(server, 1)
        thread, frame = editor.stopped()
        assert editor.value(frame, "model") == "100"
        editor.send("continue", threadId=thread)
        assert asked.reply().json() == 101
        editor.ask("disconnect")
    assert server.score(1).json() == 101
    assert took < 10


def test_with_two_workers_a_breakpoint_holds_one_and_paths_may_be_mapped(
    serve: Serve, tmp_path: Path
) -> None:
    require_module("debugpy")
    from tests.end_to_end.dap import Attached

    server = serve(SCRIPT, "--debug", "--worker_count", "2", "--debug_port", str(free_port()))
    ports = doors(server)
    assert len(set(ports)) == 2
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(server.folder, elsewhere)
    mine = {elsewhere / "score.py": [IN_RUN]}
    with Attached(ports[0], mine, {elsewhere: server.folder}) as one:
        asked: list[Asking] = []
        wait_for(lambda: holds_one(server, asked))
        thread, frame = one.stopped()
        assert frame["source"]["path"] == str(elsewhere / "score.py")
        assert [server.score(n).json() for n in range(20)] == [41 + n for n in range(20)]  # the other one
        with Attached(ports[1], mine, {elsewhere: server.folder}) as two:
            other = Asking(server, 2)
            second, frame = two.stopped()
            assert two.value(frame, "value") == "2"
            two.send("continue", threadId=second)
            assert other.reply().json() == 43
        one.send("continue", threadId=thread)
        assert {one.reply().json() for one in asked} == {42}
        killed = server.workers()[0]["pid"]
        os.kill(killed, signal.SIGKILL)
        assert one.event("terminated") == {"restart": True}  # its successor is attached to in the same place
        wait_for(lambda: not alive(killed))
    with Attached(ports[0], mine, {elsewhere: server.folder}) as one:
        wait_for(lambda: len(server.worker_pids()) == 2 and killed not in server.worker_pids())


def test_the_configuration_for_a_container_maps_its_folder(serve: Serve, tmp_path: Path) -> None:
    """The server's folder is not the editor's, which is all that a container does to paths."""
    require_module("debugpy")
    from tests.end_to_end.dap import Attached

    mine, debug = tmp_path / "project" / "src" / "score.py", str(free_port())
    server = serve(SCRIPT, "--debug", "--debug_host", "0.0.0.0", "--debug_port", debug)
    mine.parent.mkdir(parents=True)
    shutil.copy(server.folder / "score.py", mine)
    words = ["vscode", str(tmp_path / "project"), "--entry_script", str(mine), "--debug_port", debug]
    assert main(words) == 0
    text = (tmp_path / "project/.vscode/launch.json").read_text()
    attach = json.loads(text.replace("${workspaceFolder}", str(tmp_path / "project")))["configurations"][2]
    (mapping,) = attach["pathMappings"]
    assert mapping == {"localRoot": str(mine.parent), "remoteRoot": f"{APP_ROOT}/src"}
    there = {Path(mapping["localRoot"]): server.folder}
    with Attached(attach["connect"]["port"], {mine: [IN_RUN]}, there) as editor:
        asked = Asking(server, 1)
        thread, frame = editor.stopped()
        assert (frame["line"], frame["source"]["path"]) == (IN_RUN, str(mine))
        editor.send("continue", threadId=thread)
        assert asked.reply().json() == 42
        editor.ask("disconnect")


@pytest.mark.parametrize("flag", ["--debug", "--debug_wait"])
def test_without_debugpy_one_line_says_what_to_install(serve: Serve, tmp_path: Path, flag: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    server = serve(
        SCRIPT, flag, "--debug_port", str(free_port()), "--python", str(tmp_path / "empty"), wait=False
    )
    assert server.wait() == 3
    assert "--debug is given, but debugpy is not installed where the script runs" in server.log()
    assert "pip install 'azmlinfsrv[dev]'" in server.log()
    assert "Traceback" not in server.log()
