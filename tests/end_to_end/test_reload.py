"""New code takes over while requests keep coming, and none of them is lost; broken code changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.load import Load
from tests.end_to_end.running import Server, clean_environment, command, wait_for
from tests.tools import require_module

SWAPS = int(os.environ.get("TEST_SWAPS", "15"))


def script(value: object) -> str:
    return f"def init():\n    pass\n\ndef run(data):\n    return {value!r}\n"


def reloaded(server: Server) -> dict[str, Any]:
    """The last reload, as /readyz reports it."""
    return dict(server.get("/readyz").json().get("reload") or {"number": 0, "state": ""})


def reload(server: Server, *more: str) -> tuple[int, str]:
    """The command: its exit code and what it said."""
    done = subprocess.run(
        command("reload", "--port", str(server.port), *more),
        cwd=server.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_swaps_under_load_lose_no_request(serve: Serve) -> None:
    server = serve(script(0), "--worker_count", "2")
    with Load(server) as load:
        for number in range(1, SWAPS + 1):
            (server.folder / "score.py").write_text(script(number))
            server.signal(signal.SIGHUP)
            wait_for(lambda number=number: reloaded(server)["number"] == number)
            wait_for(lambda: reloaded(server)["state"] == "done", why=server.log())
            assert server.score(1).json() == number
    assert load.errors == []
    assert {status for _, status, _ in load.replies} == {200}


BROKEN = {
    "syntax": ("def init(:\n", "SyntaxError", "line 1"),
    "import": ("import os\n1 / 0\n", "ZeroDivisionError", "line 2"),
    "init": (
        "def init():\n    raise ValueError('no model')\ndef run(data): pass\n",
        "no model",
        "line 2, in init",
    ),
    "run": ("def init(): pass\n", "run", ""),
}


def test_saving_reloads_and_a_broken_save_leaves_the_old_code_serving(serve: Serve) -> None:
    require_module("watchfiles")
    files = {
        "helper.py": "VALUE = 1\n",
        "model/weights.txt": "a",
        "unrelated.py": "",
        "parts/later.py": "VALUE = 5\n",
    }
    text = """
        import os, helper

        def init():
            global model
            model = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "weights.txt")).read()

        def run(data):
            if data == '"fail"':
                raise KeyError("here")
            if data == '"later"':
                from parts import later
                return later.VALUE
            return [helper.VALUE, model]
    """
    server = serve(text, "--reload", "--model_dir", "model", files=files)
    with Load(server, 2) as load:
        good = (server.folder / "score.py").read_text()
        for text, what, where in BROKEN.values():
            number = reloaded(server)["number"]
            (server.folder / "score.py").write_text(text)
            wait_for(
                lambda n=number: reloaded(server)["number"] > n and reloaded(server)["state"] == "failed"
            )
            reason = reloaded(server)["reason"]
            assert what in reason
            assert where in reason
            assert not where or str(server.folder / "score.py") in reason
            assert reason in server.log()
            assert server.get("/readyz").status == 200
            assert server.score(1).json() == [1, "a"]
        (server.folder / "score.py").write_text(good)
        wait_for(lambda: reloaded(server)["state"] == "done")
        assert server.workers()[0]["last_error"] == ""
        number = reloaded(server)["number"]
        (server.folder / "unrelated.py").write_text("1 / 0\n")
        (server.folder / "helper.py").write_text("VALUE = 22\n")
        wait_for(lambda: server.score(1).json() == [22, "a"])
        wait_for(lambda: reloaded(server)["state"] == "done")
        assert reloaded(server)["number"] == number + 1
        (server.folder / "model/weights.txt").write_text("b")
        wait_for(lambda: server.score(1).json() == [22, "b"])
        wait_for(lambda: reloaded(server)["state"] == "done")
        number = reloaded(server)["number"]
        assert server.score("later").json() == 5  # what only a run() imports counts from then on
        (server.folder / "parts/later.py").write_text("VALUE = 66\n")
        wait_for(lambda: server.score("later").json() == 66)
        wait_for(lambda: reloaded(server)["state"] == "done")
        assert reloaded(server)["number"] == number + 1
        assert "watchfiles" not in server.log()  # the log lies where it watches
    assert load.errors == []
    assert {status for _, status, _ in load.replies} == {200}

    failed = server.score("fail").json()  # errors show the place
    assert failed["location"]["file"] == str(server.folder / "score.py")
    assert failed["location"]["function"] == "run"
    assert failed["location"]["source"] == 'raise KeyError("here")'
    assert failed["traceback"].startswith("Traceback")


def test_the_command_says_how_it_went(serve: Serve) -> None:
    server = serve(script("old"))
    (server.folder / "score.py").write_text(script("new"))
    code, said = reload(server)
    assert (code, said[:8]) == (0, "reloaded"), said
    assert server.score(1).json() == "new"
    (server.folder / "score.py").write_text("def init(): pass\ndef run(data) return 1\n")
    code, said = reload(server)
    assert code == 1
    assert "the old code keeps serving: " in said
    assert f"{server.folder / 'score.py'}, line 2" in said
    assert server.score(1).json() == "new"
    failed = server.score(1)  # in production the place is shown to nobody
    assert "location" not in failed.json()
    server.stop()
    code, said = reload(server)
    assert code == 3
    assert "--port" in said


@pytest.mark.parametrize("preload", ["false", "true"])
def test_drain_first_lets_requests_wait(serve: Serve, preload: str) -> None:
    server = serve(script("old"), "--reload_mode", "drain", env={"WORKER_PRELOAD": preload})
    with Load(server, 2) as load:
        (server.folder / "score.py").write_text(script("new"))
        assert reload(server)[0] == 0
        assert server.score(1).json() == "new"
    assert load.errors == []
    assert {status for _, status, _ in load.replies} == {200}
    values = [value for _, _, value in load.replies]
    assert values == sorted(values, reverse=True)  # never one of each at a time


def test_reload_without_watchfiles_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(script(1))
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    environment = clean_environment()
    environment["PYTHONPATH"] += f":{hidden}"
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'watchfiles' else found(name, *more)\n"
    )
    done = subprocess.run(
        command("--entry_script", "score.py", "--reload"),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 3
    assert (
        "--reload needs watchfiles where the server runs: pip install 'azmlinfsrv[dev]'"
        in done.stdout + done.stderr
    )
