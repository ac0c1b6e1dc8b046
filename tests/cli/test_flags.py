"""The command line: flags, their short forms, and what is said about a wrong one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from inference_server import __version__
from inference_server.cli import COMMANDS, main
from inference_server.cli.flags import parse
from inference_server.settings import DECLARED

INCUMBENT = [
    "entry_script",
    "model_dir",
    "port",
    "health_port",
    "worker_count",
    "appinsights_instrumentation_key",
    "access_control_allow_origins",
    "config_file",
    "rest",
]


def test_the_flags_of_the_server_we_replace_are_all_there() -> None:
    assert sorted(d.flag for d in DECLARED.values() if d.incumbent) == sorted(INCUMBENT)


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["--port", "80"], "listen.port", 80),
        (["--port=80"], "listen.port", 80),
        (["--p", "80"], "listen.port", 80),
        (["--m", "a"], "script.model_dir", "a"),
        (["--m=a=b"], "script.model_dir", "a=b"),
        (["--w", "2"], "workers.worker_count", 2),
        (["--worker-count", "2"], "workers.worker_count", 2),
        (["--health-p", "2"], "listen.health_port", 2),
        (["--ap", "K"], "telemetry.app_insights_key", "K"),
        (["--ac", "a, b"], "http.cors_origins", "a, b"),
        (["--r"], "script.rest", True),
        (["--max_worker_rss", "512M"], "workers.max_worker_rss", 512 * 1024**2),
        (["--no-metrics"], "telemetry.metrics", False),
        (["--no_access_log"], "telemetry.access_log", False),
        (["--show_errors"], "develop.show_errors", True),
        (["--host", "::1"], "listen.host", "::1"),
    ],
)
def test_a_flag_is_read(words: list[str], key: str, value: object) -> None:
    assert parse(words) == {key: value}


def test_paths_become_absolute_with_links_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real.py").touch()
    (tmp_path / "link.py").symlink_to("real.py")
    assert parse(["--entry-script", "link.py"]) == {"script.entry_script": os.path.realpath("real.py")}
    assert parse(["--model_dir", "m"]) == {"script.model_dir": "m"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "abc"], "argument --port: expects a whole number from 1 to 65535, got 'abc'"),
        (["--port", "0"], "from 1 to 65535"),
        (["--port", "65536"], "from 1 to 65535"),
        (["--worker_count", "0"], "argument --worker_count: expects a whole number of 1 or more, got '0'"),
        (["--port"], "argument --port: expected one argument"),
        (["--h"], "ambiguous option: --h could match --health_port, --help"),
        (["--a=1"], "ambiguous option: --a could match"),
        (["--max_req", "1"], "unrecognized arguments: --max_req"),
        (["--nothing"], "unrecognized arguments: --nothing"),
        (["--port", "1", "word"], "unrecognized arguments: word"),
        (["--channel", "pigeon"], "expects socketpair or tcp, got 'pigeon'"),
        (["--max_body_bytes", "lots"], "expects a size in bytes"),
        (["--keep_alive", "-1"], "expects a number of 0 or more"),
        (["--python", "/no/such/python"], "'/no/such/python' does not exist"),
        (["word"], "there is no command 'word'"),
    ],
)
def test_a_wrong_command_line_ends_with_1(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    out, err = capfd.readouterr()
    usage, error = err.splitlines()
    assert usage.startswith("usage: azmlinfsrv ")
    assert error.startswith("azmlinfsrv: error: ")
    assert said in error
    assert out.startswith("\nAzure ML Inferencing HTTP server v")
    assert "--entry_script" in out


def test_help_and_version_end_with_0(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capfd.readouterr().out
    assert (
        out.index("--entry_script ENTRY_SCRIPT")
        < out.index("--config_file CONFIG_FILE")
        < out.index("--host")
    )
    assert "--rest" not in out
    listed = re.findall(r"^  (\S+ +)\S", out.partition("--help):\n")[2], re.MULTILINE)
    assert {column.strip() for column in listed} == set(COMMANDS)
    assert len({len(column) for column in listed}) == 1  # one column, whatever the longest name
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"azmlinfsrv {__version__}\n"
