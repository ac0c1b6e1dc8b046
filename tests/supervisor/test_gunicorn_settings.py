"""gunicorn's configuration: what becomes a setting of ours, what has no effect, where its hooks run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_server.settings import Settings, load
from inference_server.supervisor.gunicorn_settings import forced, taken_over
from tests.supervisor.running import STAND_IN, running


def test_its_settings_become_ours() -> None:
    settings = taken_over(
        Settings(), {"workers": 3, "threads": 4, "max_requests": 9, "keepalive": 5, "certfile": "c.pem"}
    )
    assert settings.workers.worker_count == 3
    assert settings.workers.threads == 4
    assert settings.workers.max_requests == 9
    assert settings.http.keep_alive == 5
    assert settings.listen.certfile == "c.pem"
    assert settings.given["workers.worker_count"] == "gunicorn"
    assert settings.notes == ()


def test_a_flag_or_variable_of_ours_wins() -> None:
    assert taken_over(load({}, {"WORKER_COUNT": "2"}), {"workers": 3}).workers.worker_count == 2
    assert taken_over(load({"workers.threads": 2}, {}), {"threads": 3}).workers.threads == 2


def test_what_has_no_effect_is_named_in_one_note() -> None:
    settings = taken_over(
        Settings(), {"worker_class": "gevent", "preload_app": True, "timeout": 5, "bind": ":80"}
    )
    (note,) = settings.notes
    assert "bind, preload_app, timeout, worker_class" in note


def test_one_front_whatever_is_configured() -> None:
    values = forced(Settings())
    assert values["workers"] == 1
    assert values["bind"] == ["0.0.0.0:5001"]
    assert forced(Settings().changed({"listen.host": "::1"}))["bind"] == ["[::1]:5001"]


HOOKS = """
import os, beside
workers = 3
worker_class = "gevent"
raw_env = ["FROM_RAW_ENV=1"]
os.environ["FROM_FILE"] = "2"

def note(name):
    with open("hooks", "a") as file:
        file.write("%s %d\\n" % (name, os.getpid()))

def on_starting(server): note("on_starting")
def when_ready(server): note("when_ready")
def post_fork(server, worker): note("post_fork")
def post_worker_init(worker): note("post_worker_init")
def on_exit(server): note("on_exit")
"""


def test_its_file_is_read_and_its_hooks_run_in_supervisor_and_front(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(HOOKS)
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "uvloop.py").write_text("raise SystemExit('a user file was imported by the front')")
    with running(tmp_path, STAND_IN, GUNICORN_CMD_ARGS="--max-requests 7 --graceful-timeout 2") as server:
        answer = server.up()
        server.signal(15)
        assert server.ends() == 0
        assert "no effect here: worker_class." in server.written()
    assert answer["worker_count"] == 3
    assert answer["environment"]["WORKER_COUNT"] == "3"
    assert answer["environment"]["FROM_RAW_ENV"] == "1"
    assert answer["environment"]["FROM_FILE"] == "2"
    assert answer["environment"]["SERVER_SOFTWARE"].startswith("gunicorn/")
    ran = dict(line.split() for line in (tmp_path / "hooks").read_text().splitlines())
    assert {name for name, pid in ran.items() if int(pid) == answer["pid"]} == {
        "post_fork",
        "post_worker_init",
    }
    assert {name for name, pid in ran.items() if int(pid) == answer["parent"]} == {
        "on_starting",
        "when_ready",
        "on_exit",
    }


@pytest.mark.parametrize(
    ("variable", "said"),
    [("--workers x", "invalid"), ("-c missing.py", "doesn't exist"), ("--workers 0", "workers")],
)
def test_a_bad_configuration_ends_with_a_line(tmp_path: Path, variable: str, said: str) -> None:
    with running(tmp_path, STAND_IN, GUNICORN_CMD_ARGS=variable) as server:
        assert server.ends() in (1, 2)
        assert said in server.written()
        assert "Traceback" not in server.written()


def test_it_can_show_its_configuration(tmp_path: Path) -> None:
    with running(tmp_path, STAND_IN, GUNICORN_CMD_ARGS="--print-config") as server:
        assert server.ends() == 0
        assert "worker_class" in server.written()
    assert json.dumps(server.port) in server.written()
