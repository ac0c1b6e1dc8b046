from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from inference_server.errors import SettingsError
from inference_server.telemetry.logs import importable, reopen, replace_absent, setup
from tests.tools import ROOT

FORMATTER = "azureml_inference_server_http.log_config.AMLLogFormatter"


def front(code: str, path: Path | None = None, level: str = "INFO", **more: Any) -> tuple[str, str]:
    """What a process with the front's logging writes to standard output and standard error."""
    script = f"""
        import logging, sys
        from inference_server.telemetry import logs
        logs.setup({str(path) if path else None!r}, {level!r})
        server, access, error = map(logging.getLogger, ("azmlinfsrv", "gunicorn.access", "gunicorn.error"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script) + textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        **more,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def write(folder: Path, config: object) -> Path:
    path = folder / "logging.json"
    path.write_text(json.dumps(config))
    return path


def test_each_logger_goes_to_its_stream() -> None:
    out, err = front(
        """
        server.info("one")
        logging.getLogger("azmlinfsrv.print").info("two\\x1b[0m")
        access.info('"GET /score HTTP/1.1"')
        access.info('"GET / HTTP/1.1"')
        error.info("three")
        logging.getLogger("some.package").info("four")
        logging.getLogger("azure.core").info("chatter")
        """
    )
    assert [line.split("] ", 1)[1] for line in out.splitlines()] == [
        "azmlinfsrv - one",
        "azmlinfsrv.print - two\\x1b[0m",
        'gunicorn.access - "GET /score HTTP/1.1"',
    ]
    assert [line.split("] ", 1)[1] for line in err.splitlines()] == [
        "gunicorn.error - three",
        "some.package - four",
    ]


def test_the_level_counts_for_the_server_and_for_libraries() -> None:
    out, err = front("server.info('no'); server.error('yes'); logging.info('no')", level="Error")
    assert out.endswith("azmlinfsrv - yes\n")
    assert out.count("\n") == 1
    assert err == ""
    out, err = front("server.debug('yes'); logging.debug('too')", level="10")
    assert out.count("\n") == err.count("\n") == 1


def test_a_stuck_standard_output_does_not_hold_the_process() -> None:
    reader, end = os.pipe()
    code = "for number in range(20000): server.info('x' * 100)"
    front_code = textwrap.dedent(
        """
        import logging
        from inference_server.telemetry import logs
        logs.setup(None, "INFO")
        server = logging.getLogger("azmlinfsrv")
        """
    )
    process = subprocess.Popen([sys.executable, "-c", front_code + code], cwd=ROOT, stdout=end)
    os.close(end)
    assert process.wait(30) == 0, "nobody read a byte"
    os.close(reader)


def test_a_logging_json_replaces_the_default(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "version": 1,
            "formatters": {"aml": {"class": FORMATTER}, "plain": {"format": "PLAIN %(message)s"}},
            "filters": {"root": {"()": FORMATTER.replace("AMLLogFormatter", "RootAccessFilter")}},
            "handlers": {
                "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "aml"},
                "access": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["root"]},
            },
            "loggers": {"azmlinfsrv": {"handlers": ["out"], "level": "DEBUG", "propagate": False}},
            "root": {"handlers": ["access"], "level": "INFO"},
        },
    )
    out, err = front(
        "server.debug('one'); access.info('two'); access.info('GET / HTTP/1.1'); logging.info('three')", path
    )
    assert out.endswith("azmlinfsrv - one\n")
    assert err == "PLAIN two\nPLAIN three\n"


def test_loggers_it_does_not_name_are_not_silenced(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"version": 1, "handlers": {"h": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["h"]}},
    )
    _, err = front("server.info('one'); access.info('two')", path)
    assert err == "one\ntwo\n"


def test_classes_of_the_model_are_replaced_with_one_warning(tmp_path: Path) -> None:
    (tmp_path / "mylogs.py").write_text("raise SystemExit('the script\\'s own code ran in the front')")
    path = write(
        tmp_path,
        {
            "version": 1,
            "formatters": {"mine": {"class": "mylogs.Formatter"}},
            "filters": {"mine": {"()": "mylogs.Filter"}},
            "handlers": {
                "mine": {
                    "class": "mylogs.Handler",
                    "formatter": "mine",
                    "filters": ["mine"],
                    "url": "http://x",
                },
                "lib": {"class": "nosuchlibrary.Handler"},
            },
            "loggers": {"azmlinfsrv": {"handlers": ["mine"], "level": "INFO", "filters": ["mine"]}},
            "root": {"handlers": ["lib"]},
        },
    )
    out, _ = front("server.info('one')", path, env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"})
    warning, line = [line for line in out.splitlines() if line[:2] == "20"]
    assert warning.endswith("mylogs.Formatter, mylogs.Filter, mylogs.Handler, nosuchlibrary.Handler")
    assert str(path) in warning
    assert line.endswith("azmlinfsrv - one")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Expecting property name"),
        ("[]", "must be a JSON object"),
        ("{}", "version"),
        ('{"version": 1, "handlers": {"h": {"class": "logging.NoSuch"}}}', ""),
        ('{"version": 1, "handlers": {"h": {"class": "logging.FileHandler", "filename": "/no/x"}}}', "'h'"),
        ('{"version": 1, "handlers": []}', "list"),
        ('{"version": 1, "root": {"level": "LOUD"}}', "LOUD"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "logging.json"
    path.write_text(text)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from inference_server.telemetry import logs; logs.setup({str(path)!r}, 'INFO')",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if not says:  # a class nobody has is replaced, like one that only the model has
        assert done.returncode == 0
        return
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"inference_server.errors.SettingsError: the logging configuration {path} cannot")
    assert says in last


def test_an_unknown_level_names_the_variable_and_the_fix() -> None:
    with pytest.raises(SettingsError, match=r"AZUREML_LOG_LEVEL: 'LOUD' is not a log level: use DEBUG, INFO"):
        setup(None, "LOUD")


def test_what_this_process_may_import() -> None:
    assert importable("logging.handlers.RotatingFileHandler")
    assert importable("sys.exit")
    assert importable("inference_server.scoring.logs.AMLLogFormatter")
    assert importable("prometheus_client.Counter")
    assert not importable("prometheus_client.NoSuch")
    assert not importable("tests.tools.missing"), "not installed: it may be the script's own"
    assert replace_absent({"handlers": 3}) == []


def test_files_of_a_logging_json_are_opened_anew_when_they_were_moved(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    handler = logging.FileHandler(path)
    log = logging.getLogger("tests.reopened")
    log.addHandler(handler)
    try:
        log.error("before")
        path.rename(tmp_path / "server.log.1")
        reopen()
        log.error("after")
    finally:
        log.removeHandler(handler)
        handler.close()
    assert path.read_text() == "after\n"
    assert (tmp_path / "server.log.1").read_text() == "before\n"
