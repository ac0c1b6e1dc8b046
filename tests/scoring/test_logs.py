from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from inference_server.scoring import records
from inference_server.scoring.logs import AMLLogFormatter, escape_controls, level_number
from tests.tools import ROOT, missing, require_module

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([DIWEC]) \[\d+\] (\S+) - (.*)")


def worker(code: str, stdout: Any = subprocess.PIPE, **config: Any) -> tuple[str, str]:
    """What a process with a worker's logging writes to standard output and standard error."""
    script = f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        import builtins, contextlib, io, logging, os
        from inference_server.scoring import logs
        from inference_server.scoring.config import ScoringConfig
        forwarded = []
        logs.setup(ScoringConfig(**{config!r}), forwarded.append)
        logs.hook_print()
        server = logging.getLogger("azmlinfsrv")
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(script) + textwrap.dedent(code)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def parsed(text: str) -> list[tuple[str, str, str]]:
    """Level letter, logger and message of each line."""
    return [match.groups() for match in map(LINE.fullmatch, text.splitlines()) if match]  # type: ignore[misc]


def test_print_to_standard_output_is_a_record() -> None:
    out, err = worker(
        """
        print("a", 1, sep="-", end="", flush=True)
        print()
        print("two\\nlines")
        print("out", file=sys.stdout)
        print("none", None, sep=None)
        """
    )
    assert parsed(out) == [
        ("I", "azmlinfsrv.print", "a-1"),
        ("I", "azmlinfsrv.print", ""),
        ("I", "azmlinfsrv.print", "two"),
        ("I", "azmlinfsrv.print", "out"),
        ("I", "azmlinfsrv.print", "none None"),
    ]
    assert out.splitlines()[3] == "lines"
    assert err == ""


def test_other_prints_and_writes_are_untouched() -> None:
    out, err = worker(
        """
        print("to stderr", end="|", file=sys.stderr)
        sys.stdout.write("raw\\n")
        with contextlib.redirect_stdout(io.StringIO()) as kept:
            print("kept")
        assert kept.getvalue() == "kept\\n"
        try:
            print("a", sep=3)
        except TypeError:
            sys.stdout.write("as ever\\n")
        """
    )
    assert out == "raw\nas ever\n"
    assert err == "to stderr|"


def test_a_script_that_closes_its_streams_does_not_silence_the_server() -> None:
    out, err = worker(
        """
        sys.stdout.close(); sys.stderr.close()
        os.close(1); os.close(2)
        server.info("still here")
        print("me too")
        logging.warning("and I")
        """
    )
    assert [line[2] for line in parsed(out)] == ["still here", "me too"]
    assert parsed(err) == [("W", "root", "and I")]


def test_a_log_nobody_reads_never_raises_into_the_script() -> None:
    reader, end = os.pipe()
    os.close(reader)
    try:
        worker("server.info('x'); print('y')", stdout=end)
    finally:
        os.close(end)


def test_a_pipe_that_was_made_non_blocking_loses_no_line() -> None:
    reader, end = os.pipe()
    os.set_blocking(end, False)
    code = "\n".join(["for number in range(2000):", "    server.info('x' * 100)"])
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import logging; from inference_server.scoring import logs;"
            "from inference_server.scoring.config import ScoringConfig;"
            f"logs.setup(ScoringConfig()); server = logging.getLogger('azmlinfsrv')\n{code}",
        ],
        cwd=ROOT,
        stdout=end,
    )
    os.close(end)
    with open(reader, encoding="utf-8") as pipe:
        lines = pipe.read().splitlines()
    assert process.wait(10) == 0
    assert len(lines) == 2000
    assert all(LINE.fullmatch(line) for line in lines)


def test_what_the_script_logs_reaches_standard_error_at_the_level() -> None:
    code = "logging.info('info'); logging.getLogger('mine').debug('debug'); server.debug('server')"
    out, err = worker(code)
    assert (out, parsed(err)) == ("", [("I", "root", "info")])
    out, err = worker(code, log_level="debug")
    assert parsed(out) == [("D", "azmlinfsrv", "server")]
    assert parsed(err) == [("I", "root", "info"), ("D", "mine", "debug")]
    assert worker(code, log_level="ERROR") == ("", "")


def test_the_scripts_own_basic_config_works() -> None:
    _, err = worker(
        "logging.basicConfig(); logging.info('ours');"
        "logging.basicConfig(level='DEBUG', format='MINE %(message)s'); logging.debug('theirs')"
    )
    first, second = err.splitlines()
    assert LINE.fullmatch(first)
    assert second == "MINE theirs"


def test_records_that_become_traces_are_forwarded() -> None:
    out, _ = worker(
        """
        import json
        print("hello")
        server.info("not this one")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("azmlinfsrv.trace").exception("that one")
        logging.getLogger("azmlinfsrv.trace").debug("too quiet")
        sys.stdout.write(json.dumps(forwarded))
        """
    )
    printed, traced = json.loads(out.splitlines()[-1])
    assert (printed["logger"], printed["level"], printed["message"]) == ("azmlinfsrv.print", "INFO", "hello")
    assert set(printed) == {"logger", "level", "message", "time", "extra"}
    assert traced["exception"]["type"] == "ZeroDivisionError"
    assert traced["level"] == "ERROR"


def test_a_logging_json_replaces_the_default(tmp_path: Path) -> None:
    path = tmp_path / "logging.json"
    name = "azureml_inference_server_http.log_config."
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "formatters": {"aml": {"()": name + "AMLLogFormatter", "fmt": "MINE %(message)s"}},
                "filters": {"probes": {"()": name + "RootAccessFilter"}},
                "handlers": {
                    "out": {
                        "class": "logging.StreamHandler",
                        "stream": "ext://sys.stdout",
                        "formatter": "aml",
                        "filters": ["probes"],
                    }
                },
                "root": {"handlers": ["out"], "level": "INFO"},
            }
        )
    )
    out, err = worker(
        "sys.stdout.close(); print('one\\x1b'); logging.info('two'); logging.info('GET / HTTP/1.1')",
        logging_config=str(path),
    )
    assert (out, err) == ("MINE one\\x1b\nMINE two\n", "")


def test_a_broken_logging_json_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "logging.json"
    path.write_text('{"version": 1, "handlers": {"h": {"class": "no.such.Handler"}}}')
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from inference_server.scoring import logs;"
            "from inference_server.scoring.config import ScoringConfig;"
            f"logs.setup(ScoringConfig(logging_config={str(path)!r}))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    last = done.stderr.splitlines()[-1]
    assert f"LoggingConfigError: the logging configuration {path} cannot be used: " in last
    assert "'h'" in last
    assert "No module named 'no'" in last


def test_controls_are_escaped_and_lines_stay() -> None:
    assert escape_controls("a\tb\nc é") == "a\tb\nc é"
    assert escape_controls("\x1b[31m\r\x00\x7f\x9b\u2028") == "\\x1b[31m\\r\\x00\\x7f\\x9b\\u2028"


def test_the_formatter_takes_the_arguments_of_a_dictionary_config() -> None:
    import logging

    record = logging.LogRecord("azmlinfsrv", logging.WARNING, "", 0, "hi %d", (5,), None)
    record.created, record.msecs, record.process = 1767225600.25, 250.9, 4711
    line = "2026-01-01 00:00:00,250 W [4711] azmlinfsrv - hi 5"
    assert AMLLogFormatter().format(record) == line
    assert AMLLogFormatter(None, None, "%").format(record) == line
    assert AMLLogFormatter("{asctime} {message}", "%H:%M", "{").format(record) == "00:00 hi 5"
    assert AMLLogFormatter(fmt="%(message)s", validate=True).format(record) == "hi 5"


def test_levels_by_name_or_number() -> None:
    assert [level_number(text) for text in ("INFO", " warn ", "Warning", "15")] == [20, 30, 30, 15]
    with pytest.raises(ValueError, match="'NOISY' is not a log level: use DEBUG"):
        level_number("NOISY")


def test_model_data_of_any_kind_is_json() -> None:
    require_module("numpy")
    import numpy

    def sent(inputs: Any, prediction: Any) -> tuple[Any, Any]:
        extra = records.of_model_data(inputs, prediction)["extra"]
        return json.loads(extra["Input"]), json.loads(extra["Prediction"])

    loop: list[Any] = []
    loop.append(loop)
    assert sent('{"a": 1}', {"a": numpy.arange(3), "b": numpy.float32(0.5)}) == (
        '{"a": 1}',
        {"a": [0, 1, 2], "b": 0.5},
    )
    assert sent({(1, 2): 3}, loop) == ("{(1, 2): 3}", "[[...]]")
    assert sent(b"raw", None) == ("b'raw'", None)
    assert len(records.of_model_data("x" * 100_000, 1)["extra"]["Input"]) == records.TEXT_LIMIT


class Mute(Exception):
    """One whose texts cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__

    def tolist(self) -> list[Any]:
        raise KeyError("no list")


def test_records_of_objects_whose_texts_raise() -> None:
    entry = records.of_exception(Mute())
    assert entry["message"] == entry["exception"]["message"] == "<Mute, whose text cannot be had: ValueError>"
    assert entry["exception"]["type"] == "Mute"
    assert "Mute" in entry["exception"]["stacktrace"]
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    extra = records.of_model_data(deep, Mute())["extra"]
    assert json.loads(extra["Input"]) == "<list, whose text cannot be had: RecursionError>"
    assert json.loads(extra["Prediction"]) == "<Mute, whose text cannot be had: ValueError>"


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_it_works_in_the_oldest_and_the_newest_python(version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    python = str(found[-1]) if found else shutil.which(f"python{version}")
    if python is None:
        missing(f"needs Python {version}")
    code = f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        import logging
        from inference_server.scoring import logs
        from inference_server.scoring.config import ScoringConfig
        logs.setup(ScoringConfig(), lambda entry: None)
        logs.hook_print()
        print("hello")
        logging.info("there")
    """
    done = subprocess.run(
        [str(python), "-I", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30
    )
    assert parsed(done.stdout) == [("I", "azmlinfsrv.print", "hello")], done.stderr
    assert parsed(done.stderr) == [("I", "root", "there")]
