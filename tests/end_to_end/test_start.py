"""The start: what a failing one says, what is answered before the script is ready, what happens when it breaks later."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from tests.end_to_end.conftest import ECHO, Serve
from tests.end_to_end.load import Asking
from tests.end_to_end.running import Server, wait_for

FINE = "def init(): pass\ndef run(data): return 'fine'\n"

FAILING = {
    "syntax error": ("x = 1\ndef init(:\n", r"SyntaxError: .* \({file}, line 2\)"),
    "import error": (
        "import os\nimport no_such_module\n",
        r"ModuleNotFoundError: No module named 'no_such_module' \({file}, line 2, in <module>\)",
    ),
    "raises when imported": ("1 / 0\n", r"ZeroDivisionError: .* \({file}, line 1, in <module>\)"),
    "leaves when imported": ("import sys\nsys.exit(0)\n", r"SystemExit: 0 \({file}, line 2, in <module>\)"),
    "no init": ("def run(d): pass\n", r"User script at {file} does not have a init\(\) function defined"),
    "no run": ("def init(): pass\n", r"User script at {file} does not have a run\(\) function defined"),
    "init raises": (
        "def init():\n    load()\n\ndef load():\n    raise KeyError('weights')\n\ndef run(d): pass\n",
        r"KeyError: 'weights' \({file}, line 5, in load\)",
    ),
    "init kills": (
        "import os\ndef init():\n    os._exit(9)\ndef run(d): pass\n",
        r"the process exited with code 9 \({file}: init\(\) is running\)",
    ),
    "init crashes": (
        "import ctypes\ndef init():\n    ctypes.string_at(0)\ndef run(d): pass\n",
        r"the process was killed by SIGSEGV \({file}: init\(\) is running\)",
    ),
    "bad signature": (
        "def init(): pass\n\ndef run(*data): pass\n",
        r"run\(\) cannot accept positional-only arguments, \*args, or \*\*kwargs. \({file}, line 3\)",
    ),
    "two stars": ("def init(): pass\ndef run(a, **k): pass\n", r"run\(\) cannot accept .*\({file}, line 2\)"),
}


def failed(server: Server) -> str:
    """The log of a start that fails as it must; the server has ended when this returns."""
    assert server.wait(20) == 3
    log = server.log()
    gunicorn = [line for line in log.splitlines() if " E [" in line and "gunicorn.error" in line]
    assert len(gunicorn) <= 3  # which process, that it ends, why
    assert "site-packages/gunicorn" not in log
    return log


@pytest.mark.parametrize("what", FAILING)
def test_a_failing_start_says_what_and_where_then_the_traceback(serve: Serve, what: str) -> None:
    script, pattern = FAILING[what]
    server = serve(script, "--supervisor", "none" if what != "init raises" else "gunicorn", wait=False)
    log = failed(server)
    file = str(server.folder / "score.py")
    lines = [line for line in log.splitlines() if re.search(pattern.replace("{file}", re.escape(file)), line)]
    assert lines, log
    if "Error" in pattern and what != "syntax error":
        assert log.index(lines[0]) < log.index("Traceback (most recent call last)")
        assert "inference_server/scoring" not in log  # the traceback is the user's own


def test_a_missing_script_is_named(serve: Serve) -> None:
    server = serve(ECHO, "--entry_script", "nowhere/score.py", wait=False)
    assert f"The entry script {server.folder}/nowhere/score.py does not exist" in failed(server)


def test_one_of_several_workers_that_cannot_load_ends_the_start_once(serve: Serve) -> None:
    script = """
        import os, time
        def init():
            try:
                os.mkdir("taken")
            except FileExistsError:
                raise ValueError("only one of us")
            time.sleep(30)
        def run(data): pass
    """
    began = time.monotonic()
    log = failed(serve(script, "--worker_count", "3", wait=False))
    assert time.monotonic() - began < 15
    assert "ValueError: only one of us" in log


@pytest.mark.parametrize("preload", ["false", "true"])
def test_loading_may_not_take_longer_than_its_limit(serve: Serve, preload: str) -> None:
    script = "import time\ndef init(): time.sleep(60)\ndef run(d): pass"
    server = serve(script, "--boot_timeout", "0.5", env={"WORKER_PRELOAD": preload}, wait=False)
    assert "import and init() took longer than 0.5 s" in failed(server)


def test_before_the_script_is_ready_probes_say_so_and_requests_wait(serve: Serve) -> None:
    script = """
        import os, time
        def init():
            while not os.path.exists("go"):
                time.sleep(0.01)
        def run(data):
            return data
    """
    server = serve(script, wait=False)
    wait_for(lambda: server.answers("/livez"))
    wait_for(lambda: server.get("/readyz").json()["workers"][0]["state"] == "loading")
    assert server.get("/").status == 503
    assert server.get("/startupz").status == 503
    ready = server.get("/readyz")
    assert ready.status == 503
    assert ready.json()["status"] == "starting"
    assert "init()" in ready.json()["workers"][0]["reason"]
    asked = Asking(server, {"a": 1})
    wait_for(lambda: server.get("/readyz").json()["queued"] == 1)
    (server.folder / "go").touch()
    assert asked.reply().json() == '{"a": 1}'
    assert [server.get(path).status for path in ("/", "/livez", "/readyz", "/startupz")] == [200] * 4


def test_a_script_that_breaks_later_backs_off_and_comes_back_when_it_is_repaired(serve: Serve) -> None:
    server = serve(FINE)
    (server.folder / "score.py").write_text("def init(): raise OSError('share is gone')\ndef run(d): pass\n")
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    wait_for(lambda: "next start in" in server.workers()[0]["reason"])
    health = server.get("/readyz")
    assert health.status == 503
    worker = health.json()["workers"][0]
    assert "share is gone" in worker["last_error"]
    assert worker["restarts"] >= 1
    assert server.get("/").status == 503
    assert server.get("/startupz").status == 200  # it has started once
    assert server.get("/livez").status == 200
    reply = server.score(1)
    assert reply.status == 503
    assert reply.headers["retry-after"]
    (server.folder / "score.py").write_text(FINE)
    wait_for(lambda: server.answers("/readyz"), 20)
    assert server.score(1).json() == "fine"
    assert server.process.poll() is None


def test_from_the_command_to_the_first_answer(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    server = serve(FINE, wait=False)

    def answered() -> bool:
        try:
            return server.score(1, timeout=30).status == 200
        except OSError:
            return False

    wait_for(answered)  # it waits for the script as soon as somebody listens
    with capsys.disabled():
        print(f"\nstart to the first answer: {time.monotonic() - began:.2f} s", end=" ")
