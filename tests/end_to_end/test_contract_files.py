"""The files a deployment consists of beside its script, read by the command as it is installed."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.load import Asking, Load
from tests.end_to_end.running import Server, clean_environment, command, free_port, wait_for

Start = Callable[..., Server]

DRIVER = """
    import inner as driver_module

    def init():
        driver_module.model = "loaded by the driver"
"""

INNER = """
    def run(data):
        return model
"""

TALKATIVE = """
    import logging

    def init():
        pass

    def run(data):
        print("printed")
        logging.getLogger("mine").warning("logged")
        return data
"""

SLEEPY = """
    import json, time

    def init():
        pass

    def run(data):
        time.sleep(json.loads(data))
        return "awake"
"""

# Ten seconds are for a machine that is busy; the calls meet at once when they overlap.
MEETING = """
    import json, os, pathlib, time

    def init():
        with open("starts", "a") as file:
            file.write(f"{os.getpid()}\\n")

    def run(data):
        value = json.loads(data)
        if isinstance(value, dict):
            pathlib.Path(f"here{value['number']}").touch()
            until = time.monotonic() + 10
            while len(list(pathlib.Path().glob("here*"))) < value["of"] and time.monotonic() < until:
                time.sleep(0.005)
            return [os.getpid(), len(list(pathlib.Path().glob("here*")))]
        return value
"""

LOGGING = {
    "version": 1,
    "formatters": {
        "mine": {
            "class": "azureml_inference_server_http.log_config.AMLLogFormatter",
            "format": "<%(process)d|%(name)s|%(levelname)s|%(message)s>",
        }
    },
    "handlers": {
        "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "mine"}
    },
    "loggers": {
        "azmlinfsrv": {"handlers": ["out"], "level": "INFO", "propagate": False},
        "gunicorn.access": {"handlers": ["out"], "level": "INFO", "propagate": False},
    },
    "root": {"handlers": ["out"], "level": "WARNING"},
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(files, *arguments, env={})` -> a ready Server in a folder with those files, with no other argument."""
    servers: list[Server] = []

    def begin(files: dict[str, str], *arguments: str, env: dict[str, str] | None = None) -> Server:
        for name, text in files.items():
            (tmp_path / name).write_text(textwrap.dedent(text))
        port = free_port()
        line = installed(*arguments, "--port", str(port))
        servers.append(Server(line, port, tmp_path, clean_environment(**(env or {}))))
        return servers[-1].wait_ready()

    yield begin
    for server in servers:
        server.stop()


def installed(*arguments: str) -> list[str]:
    """The command as its users have it; `python -m` where the package is not installed."""
    script = Path(sys.executable).with_name("azmlinfsrv")
    return [str(script), *arguments] if script.exists() else command(*arguments)


def test_a_driver_script_hands_run_to_its_module(start: Start) -> None:
    server = start({"driver.py": DRIVER, "inner.py": INNER}, "--entry_script", "driver.py")
    assert server.score(1).json() == "loaded by the driver"


def test_a_logging_file_shapes_the_lines_of_the_server_and_of_the_workers(start: Start) -> None:
    files = {"score.py": TALKATIVE, "logging.json": json.dumps(LOGGING)}
    server = start(files, "--entry_script", "score.py")
    assert server.score(5).status == 200
    worker, front = server.worker_pids()[0], server.front_pid()
    server.wait_log(f"<{worker}|azmlinfsrv.print|INFO|printed>\n")
    server.wait_log(f"<{worker}|mine|WARNING|logged>\n")
    server.wait_log(f"<{front}|azmlinfsrv|INFO|POST /score 200 ")
    server.wait_log(f"<{front}|gunicorn.access|INFO|127.0.0.1 - - [")
    assert f"Loaded logging config from {server.folder / 'logging.json'}" in server.log()


def test_a_config_file_is_enough(start: Start) -> None:
    settings = {"AZUREML_ENTRY_SCRIPT": "sleepy.py", "SCORING_TIMEOUT_MS": 300, "SERVICE_NAME": "the sleeper"}
    files = {"sleepy.py": SLEEPY, "settings.json": json.dumps(settings)}
    server = start(files, "--config_file", "settings.json")
    assert server.score(0).json() == "awake"
    late = server.score(20)
    assert (late.status, late.json()["message"]) == (500, "Scoring timeout after 300 ms")
    assert server.get("/swagger.json").json()["info"]["title"] == "the sleeper"


def test_a_swagger_file_of_the_users_wins(start: Start) -> None:
    theirs = {"swagger": "2.0", "info": {"title": "theirs", "version": "7"}, "paths": {}}
    files = {"score.py": SLEEPY, "swagger.json": json.dumps(theirs)}
    server = start(files, "--entry_script", "score.py")
    assert server.get("/swagger.json").json() == theirs
    assert server.get("/swagger.json?version=2").json() == theirs


def test_gunicorns_arguments_make_workers_threads_and_replacements(start: Start) -> None:
    arguments = "--workers 2 --threads 2 --max-requests 50"
    env = {"GUNICORN_CMD_ARGS": arguments}
    server = start({"score.py": MEETING}, "--entry_script", "score.py", env=env)
    first = set(server.worker_pids())
    assert len(first) == 2
    calls = [Asking(server, {"number": number, "of": 4}) for number in range(4)]
    met = [call.reply().json() for call in calls]
    assert {pid for pid, _ in met} == first
    assert [count for _, count in met] == [4, 4, 4, 4]
    with Load(server) as load:
        wait_for(lambda: first.isdisjoint(server.worker_pids()), 20, "both have been replaced")
    assert load.errors == []
    assert all((status, value) == (200, number) for number, status, value in load.replies)
    assert len((server.folder / "starts").read_text().split()) >= 4
