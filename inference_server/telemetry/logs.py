"""Logging of the supervisor and the front: the same lines as a worker's, to streams that never wait.

    azmlinfsrv, its children   standard output   AZUREML_LOG_LEVEL
    gunicorn.access            standard output   INFO, health probes of `/` left out
    gunicorn.error             standard error    INFO
    everything else            standard error    AZUREML_LOG_LEVEL, but WARNING for chatty libraries

A `logging.json` in the app root, or beside the entry script, replaces the table. It is written for the
worker, where the script's own modules can be imported; here they never are, so a class that only the
model's environment has is replaced, with one warning that names it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import logging.config
import os
import sysconfig
from typing import Any

from inference_server.errors import SettingsError
from inference_server.scoring import logconfig
from inference_server.scoring.logs import SERVER, level_number
from inference_server.telemetry.access import ACCESS
from inference_server.telemetry.output import TextStream, standard

GUNICORN = "gunicorn.error"
FORMATTER = "inference_server.scoring.logs.AMLLogFormatter"
FILTER = "inference_server.scoring.logs.RootAccessFilter"
CHATTY = ("azure", "opentelemetry", "asyncio", "uvicorn")
OURS = "inference_server"
PLACES = ("stdlib", "platstdlib", "purelib", "platlib")

logger = logging.getLogger(SERVER)


def setup(logging_config: str | None, level: str) -> None:
    """Set up logging in this process, once more in each process that is forked from it.

    `level` is AZUREML_LOG_LEVEL: a name or a number; a logging.json, whose path is `logging_config`, sets
    its own levels. Raises SettingsError, in one line, for an unknown level or a file that cannot be used.
    """
    try:
        number = level_number(level)
    except ValueError as error:
        raise SettingsError(f"AZUREML_LOG_LEVEL: {error}") from error
    stdout, stderr = TextStream(standard(1)), TextStream(standard(2))
    logconfig.reset(SERVER, ACCESS, GUNICORN)
    if not logging_config:
        logging.config.dictConfig(_default(number, stdout, stderr))
        return
    try:
        config = logconfig.read(logging_config)
        absent = replace_absent(config)
        logconfig.apply(logging_config, config, stdout, stderr)
    except logconfig.LoggingConfigError as error:
        raise SettingsError(f"{error}. Correct the file, or remove it to log as usual") from error
    logconfig.wake((SERVER, ACCESS, GUNICORN), number)
    if absent:
        logger.warning(
            "%s names what only the model's environment has, so the server's own lines do without it: %s",
            logging_config,
            ", ".join(absent),
        )


def _default(level: int, stdout: TextStream, stderr: TextStream) -> dict[str, Any]:
    stream = "logging.StreamHandler"
    to_stdout = {"handlers": ["stdout"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": FORMATTER}},
        "filters": {"probes": {"()": FILTER}},
        "handlers": {
            "stdout": {"class": stream, "formatter": "line", "stream": stdout},
            "access": {"class": stream, "formatter": "line", "stream": stdout, "filters": ["probes"]},
            "stderr": {"class": stream, "formatter": "line", "stream": stderr},
        },
        "loggers": {
            SERVER: to_stdout,
            ACCESS: {"handlers": ["access"], "level": "INFO", "propagate": False},
            GUNICORN: {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            **{name: {"level": max(level, logging.WARNING)} for name in CHATTY},
        },
        "root": {"handlers": ["stderr"], "level": level},
    }


def replace_absent(config: dict[str, Any]) -> list[str]:
    """Make `config` work without the classes this process cannot import; returns their names.

    A formatter becomes the usual one, a filter is left out, a handler writes to standard output instead.
    """
    absent: list[str] = []

    def lacks(spec: Any) -> bool:
        name = next((spec[key] for key in ("()", "class") if isinstance(spec.get(key), str)), "")
        if not name or importable(name):
            return False
        absent.append(name)
        return True

    try:
        for name, spec in config.get("formatters", {}).items():
            if lacks(spec):
                config["formatters"][name] = {"()": FORMATTER}
        gone = {name for name, spec in config.get("filters", {}).items() if lacks(spec)}
        config["filters"] = {key: spec for key, spec in config.get("filters", {}).items() if key not in gone}
        handlers = config.get("handlers", {})
        for name, spec in handlers.items():
            if lacks(spec):
                kept = {key: spec[key] for key in ("level", "formatter", "filters") if key in spec}
                handlers[name] = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", **kept}
        loggers = list(config.get("loggers", {}).values())
        for user in [*loggers, config.get("root", {}), *handlers.values()]:
            if "filters" in user:
                user["filters"] = [name for name in user["filters"] if name not in gone]
    except (AttributeError, TypeError):
        pass  # the dictionary has another shape than it should: dictConfig says so better
    return absent


def importable(name: str) -> bool:
    """Whether a dotted name can be had here: from the standard library, an installed package, or us.

    What lies elsewhere on the path may be the script's own code, which this process never runs.
    """
    module, _, attribute = name.rpartition(".")
    top = name.partition(".")[0]
    if top != OURS and not _installed(top):
        return False
    try:
        return not module or hasattr(importlib.import_module(module), attribute)
    except Exception:  # whatever a package does while it is imported
        return False


def _installed(top: str) -> bool:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None or spec.origin in ("built-in", "frozen"):
        return spec is not None and spec.origin is not None
    places = [os.path.realpath(sysconfig.get_path(name)) for name in PLACES]
    return os.path.realpath(spec.origin).startswith(tuple(place + os.sep for place in places))


def reopen() -> None:
    """Open the files of a logging.json anew, after they were moved. Standard output and error stay as they are."""
    for name in (None, *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.FileHandler):
                handler.acquire()
                try:
                    handler.close()
                    if not handler.delay:
                        handler.stream = handler._open()
                finally:
                    handler.release()
