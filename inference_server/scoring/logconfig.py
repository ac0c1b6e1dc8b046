"""A user's logging.json, read and applied in the process that reads it.

It is a standard `logging.config` dictionary. Two classes have the names they have in Microsoft's server:
`azureml_inference_server_http.log_config.AMLLogFormatter` and `.RootAccessFilter`.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Dict, Iterable

KNOWN = {
    "azureml_inference_server_http.log_config.AMLLogFormatter": "inference_server.scoring.logs.AMLLogFormatter",
    "azureml_inference_server_http.log_config.RootAccessFilter": "inference_server.scoring.logs.RootAccessFilter",
}
STREAM_HANDLER = "logging.StreamHandler"


class LoggingConfigError(ValueError):
    """A logging.json that cannot be used; the message is one line: which file, what is wrong."""

    def __init__(self, path: str, reason: object) -> None:
        super().__init__(f"the logging configuration {path} cannot be used: {reason}")


def read(path: str) -> Dict[str, Any]:
    """The dictionary in the file, with the known class names resolved. Raises LoggingConfigError."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            config = json.load(file)
    except (OSError, ValueError) as error:
        raise LoggingConfigError(path, error) from error
    if not isinstance(config, dict):
        raise LoggingConfigError(path, "it must be a JSON object")
    return _renamed(config)  # type: ignore[no-any-return]


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return KNOWN.get(value, value) if isinstance(value, str) else value


def apply(path: str, config: Dict[str, Any], stdout: Any, stderr: Any) -> None:
    """Apply `config`, read from `path`; its standard streams become `stdout` and `stderr`.

    Raises LoggingConfigError.
    """
    from logging.config import dictConfig  # every worker would pay for it, few have such a file

    streams = {"ext://sys.stdout": stdout, "ext://sys.stderr": stderr}
    try:
        for handler in config.get("handlers", {}).values():
            if handler.get("class") == STREAM_HANDLER:
                handler.setdefault("stream", "ext://sys.stderr")
            stream = handler.get("stream")
            if isinstance(stream, str):
                handler["stream"] = streams.get(stream, stream)
        dictConfig(config)
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise LoggingConfigError(path, " ".join(reason.split())) from error


def reset(*names: str) -> None:
    """Forget what an earlier set-up gave to the loggers `names`; their records go up to root again."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def wake(names: Iterable[str], level: int) -> None:
    """Undo what a dictionary does to loggers it does not name: switch them off.

    A logger of `names` without a level of its own gets `level`, or root's WARNING would silence it.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and any(
            name == server or name.startswith(server + ".") for server in names
        ):
            logger.disabled = False
            if name in names and logger.level == logging.NOTSET:
                logger.setLevel(level)
