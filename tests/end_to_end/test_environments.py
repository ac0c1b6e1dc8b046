"""The model's environment is its own: other interpreters, empty ones, ones with other versions of what we use."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, clean_environment, free_port
from tests.scoring.driving import other_python
from tests.tools import ROOT, missing

Start = Callable[..., Server]

OLDEST, NEWEST = "3.8", "3.13"

# The command as it is when installed: without PYTHONPATH, which would show the worker where the server lies.
INSTALLED = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from inference_server.cli import main; sys.exit(main())"
)

SCRIPT = """
    import asyncio, json, os, sys
    import numbers_of_mine

    async def init():
        global lock
        lock = asyncio.Lock()

    async def run(data):
        what = json.loads(data)
        async with lock:
            await asyncio.sleep(0)
        if what == "raise":
            raise ValueError("no")
        if what == "exit":
            os._exit(1)
        if what == "stream":
            return stream()
        if what == "where":
            return {"version": sys.version_info[:2], "path": sys.path, "prefix": sys.prefix}
        if what == "import":
            import starlette
        return numbers_of_mine.double(what)

    async def stream():
        for number in range(3):
            await asyncio.sleep(0.01)
            yield str(number)
"""


def environment(folder: Path, version: str) -> Path:
    """An empty virtual environment of another Python."""
    python = other_python(version)
    if python is None:
        missing(f"needs a Python {version}")
        raise AssertionError("unreachable")
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def site_packages(folder: Path) -> Path:
    return next(folder.glob("lib/python*/site-packages"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(script, *arguments)` -> Server, as one that was installed, not found through PYTHONPATH."""
    started: list[Server] = []

    def begin(script: str, *arguments: str) -> Server:
        folder = tmp_path / "work"
        folder.mkdir()
        (folder / "score.py").write_text(textwrap.dedent(script))
        (folder / "numbers_of_mine.py").write_text("def double(number): return 2 * number\n")
        port = free_port()
        line = [sys.executable, "-c", INSTALLED, "--entry_script", "score.py", "--port", str(port)]
        env = clean_environment()
        del env["PYTHONPATH"]
        started.append(Server([*line, *arguments], port, folder, env))
        return started[-1].wait_ready()

    yield begin
    for server in started:
        server.stop()


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("channel", ["socketpair", "tcp"])
def test_a_script_in_an_empty_environment_of_another_python(
    start: Start, tmp_path: Path, version: str, channel: str
) -> None:
    model = environment(tmp_path / "model", version)
    server = start(SCRIPT, "--python", str(model), "--channel", channel)
    assert [server.score(number).json() for number in range(20)] == [2 * number for number in range(20)]
    where = server.score("where").json()
    assert ".".join(map(str, where["version"])) == version
    assert where["prefix"] == str(model)
    assert not [path for path in where["path"] if path.startswith((str(ROOT), sys.prefix))]
    assert server.score("import").status == 500
    assert "No module named 'starlette'" in server.log()
    assert server.score("raise").status == 500
    assert server.score("stream").body == b"012"
    assert server.score("exit").status == 500
    assert server.score(4).json() == 8


def test_other_versions_of_what_the_server_uses_are_the_scripts_own(start: Start, tmp_path: Path) -> None:
    model = environment(tmp_path / "model", NEWEST)
    for name in ("starlette", "uvicorn", "gunicorn", "inference_server"):
        (site_packages(model) / name).mkdir()
        (site_packages(model) / name / "__init__.py").write_text("__version__ = 'theirs'\n")
    script = """
        import gunicorn, starlette, uvicorn
        import inference_server
        from azureml_inference_server_http.api.aml_response import AMLResponse
        from inference_server.scoring import wire
        def init(): pass
        def run(data):
            body = f"{starlette.__version__} {uvicorn.__version__} {gunicorn.__version__}"
            return AMLResponse(f"{body} {inference_server.__version__}", 201)
    """
    server = start(script, "--python", str(model / "bin" / "python"))
    reply = server.score(1)
    assert reply.status == 201
    theirs, ours = reply.body.decode().rsplit(" ", 1)
    assert theirs == "theirs theirs theirs"
    assert reply.headers["x-ms-server-version"] == f"azmlinfsrv/{ours}"


def test_a_python_that_is_too_old_is_refused_by_name(tmp_path: Path, serve: Serve) -> None:
    python = other_python("3.7")
    if python is None:
        missing("needs a Python 3.7")
    server = serve("", "--python", str(python), wait=False)
    assert server.wait() != 0
    assert "needs Python 3.8 or newer" in server.log()


def test_scripts_may_use_multiprocessing(serve: Serve) -> None:
    script = """
        import json, multiprocessing
        import helper
        def init():
            global pool
            pool = multiprocessing.get_context("fork").Pool(1)
        def run(data):
            how = json.loads(data)
            if how == "kept":
                return pool.map(helper.work, [1, 2])
            with multiprocessing.get_context(how).Pool(2) as own:
                return own.map(helper.work, [1, 2])
    """
    helper = "import logging, time\ndef work(n):\n    logging.warning('at work')\n    print('printed')\n    return n + 1\n"
    server = serve(script, files={"helper.py": helper})
    for how in ("kept", "fork", "spawn", "forkserver", "kept"):
        assert server.score(how).json() == [2, 3], how
    assert server.workers()[0]["restarts"] == 0
