"""What a worker tells the front's exporters: log records, exceptions and model data, as JSON.

One dictionary crosses as the body of a `wire.LOG` record, whose `seq` is the request being worked on (0:
none), so that the front, which knows the request's ids, can add them. It must therefore leave before the
request's answer. What a script's objects
raise when they are asked for their text does not come out of `of_exception` and `of_model_data`. Fields:

    logger      str    "azmlinfsrv.print", "azmlinfsrv.trace", EXCEPTIONS or MODEL_DATA
    level       str    "INFO", "WARNING", …
    message     str    the text, without date and level
    time        float  seconds since the epoch
    extra       dict   str to str; of MODEL_DATA: "Input" and "Prediction", each JSON text
    exception   dict   "type", "message" and "stacktrace", each str; only where there is one
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any, Callable, Dict

from inference_server.scoring import errors

EXCEPTIONS = "azmlinfsrv.exceptions"
MODEL_DATA = "azmlinfsrv.model_dc"
MODEL_DATA_MESSAGE = "model_data_collection"
TRACED = ("azmlinfsrv.print", "azmlinfsrv.trace")  # the loggers whose records become traces
TEXT_LIMIT = 32768  # characters; Application Insights keeps no longer text


def of_log(record: logging.LogRecord) -> Dict[str, Any]:
    """The dictionary of a log record."""
    entry = _entry(record.name, record.levelname, record.getMessage(), record.created)
    if record.exc_info and record.exc_info[1] is not None:
        entry["exception"] = _described(record.exc_info[1])
    return entry


def of_exception(error: BaseException) -> Dict[str, Any]:
    """The dictionary of a failed init() or run()."""
    entry = _entry(EXCEPTIONS, "ERROR", _text(str, error), time.time())
    entry["exception"] = _described(error)
    return entry


def of_failure(error: BaseException) -> Dict[str, Any]:
    """What is recorded of a failed run() beside its request: no record for the exporters, so it has the one field
    "failure": "error", one line, and "place", None or a dict."""
    where = errors.place(error)
    return {"failure": {"error": errors.headline(error), "place": where and where._asdict()}}


def of_model_data(inputs: Any, prediction: Any) -> Dict[str, Any]:
    """The dictionary of one successful run().

    `inputs` is the plain argument in string and raw mode, the dictionary of arguments in schema mode;
    `prediction` is what run() returned.
    """
    entry = _entry(MODEL_DATA, "INFO", MODEL_DATA_MESSAGE, time.time())
    entry["extra"] = {"Input": _json(inputs), "Prediction": _json(prediction)}
    return entry


class ForwardHandler(logging.Handler):
    """Hands every record of INFO or above to `forward`."""

    def __init__(self, forward: Callable[[Dict[str, Any]], None]) -> None:
        super().__init__(logging.INFO)
        self._forward = forward

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._forward(of_log(record))
        except Exception:
            self.handleError(record)


def _entry(logger: str, level: str, message: str, when: float) -> Dict[str, Any]:
    return {"logger": logger, "level": level, "message": message[:TEXT_LIMIT], "time": when, "extra": {}}


def _described(error: BaseException) -> Dict[str, str]:
    stack = _text(_stack, error)
    return {
        "type": type(error).__name__,
        "message": _text(str, error)[:TEXT_LIMIT],
        "stacktrace": stack[-TEXT_LIMIT:],  # the end of a traceback says what happened
    }


def _stack(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _text(form: Callable[[Any], str], value: Any) -> str:
    """`form(value)`, which may run the script's own code: a text also when that raises."""
    try:
        return form(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose text cannot be had: {type(error).__name__}>"


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=_plain)[:TEXT_LIMIT]
    except Exception:  # keys that are no text, a value that nests too deep, a tolist() that raises
        return json.dumps(_text(repr, value)[:TEXT_LIMIT])


def _plain(value: Any) -> Any:
    """numpy arrays and scalars, pandas frames, dates: by the method each has; the rest as its repr."""
    for method in ("tolist", "to_dict", "isoformat"):
        convert = getattr(value, method, None)
        if convert is not None:
            return convert()
    return repr(value)
