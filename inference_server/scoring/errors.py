"""What goes wrong in a worker, who is at fault, and what the caller and the log are told.

    UserScriptError    the script: it cannot be loaded, init() failed, run() raised or gave a broken response
    BadInput           the caller: the body does not fit what run() takes; carries its answer
    Unserializable     the server: the value run() returned cannot be turned into an answer

A caller sees fixed texts only. The log gets the place in the user's own file first, then the traceback.
"""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import NamedTuple, Optional, Tuple

from inference_server.scoring.answer import Answer, message

SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."
TIMED_OUT = "Scoring timeout after {} ms"

IMPORT_RAISED = "Failed to import user script because it raised an unhandled exception"
SCRIPT_RAISED = "Caught an unhandled exception from the user script"

# Libraries that scripts expect to come with the server, and the extra that brings them.
EXTRAS = {"inference_schema": "azureml", "flask": "azureml"}

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDLIB = os.path.dirname(os.__file__) + os.sep


class Context(NamedTuple):
    """What this worker serves, so that failures can be placed in it."""

    script_file: str = ""
    development: bool = False  # answers carry location and traceback


_context = Context()


def serving(script_file: str, development: bool) -> None:
    """Say once which script this worker serves, and whether its callers may see where it failed."""
    global _context
    _context = Context(script_file, development)


class UserScriptError(Exception):
    """The script is at fault. `summary` is one line with the place in the user's file, `detail` the traceback."""

    def __init__(self, text: str, summary: str = "", detail: str = "") -> None:
        super().__init__(text)
        self.summary = summary or text
        self.detail = detail

    @classmethod
    def of(cls, text: str, cause: BaseException) -> UserScriptError:
        """The error that wraps what user code raised; raise it `from cause`."""
        summary, detail = describe_failure(cause)
        return cls(text, f"{text}: {summary}", f"{detail}\n{_chained(text)}")


class BadInput(Exception):
    """The caller's body cannot be handed to run(). `answer` is ready to be sent."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = message(status, text)


class Unserializable(Exception):
    """run() returned a value that is neither JSON nor a response. The text says what it was."""


def script_failed(exc: BaseException) -> Answer:
    """The answer when run() raised: 500, marked as the script's failure.

    In development the body also carries `location` (their file and line) and `traceback`.
    """
    if not _context.development:
        return message(500, SCRIPT_FAILED, failed=True)
    summary, detail = describe_failure(exc)
    return message(
        500, SCRIPT_FAILED, failed=True, location=_place(_cause(exc)), error=summary, traceback=detail
    )


def timed_out(limit_ms: int) -> Answer:
    """The answer when run() passed the scoring timeout, or raised TimeoutError itself."""
    return message(500, TIMED_OUT.format(limit_ms), failed=True)


def internal_error(exc: Optional[BaseException] = None) -> Answer:
    """The answer when the result cannot be sent, or the server itself failed: 500, not the script's failure.

    In development the body also carries `error`, what was wrong.
    """
    if exc is None or not _context.development:
        return message(500, INTERNAL_ERROR)
    return message(500, INTERNAL_ERROR, error=_one_line(_headline(exc)))


def describe_failure(exc: BaseException, script_file: Optional[str] = None) -> Tuple[str, str]:
    """(one line: what was raised and where in the user's files, the whole traceback).

    `script_file` is the script being served unless given. A UserScriptError is seen through to what caused
    it. The traceback starts at the user's code: frames of ours before it are left out, and so is the import
    machinery. Neither text ends with a newline.
    """
    cause = _cause(exc)
    place = _place(cause, script_file)
    summary = _one_line(_headline(cause))
    if place:
        summary += f" ({place})"
    summary += _hint(cause)
    lines = traceback.format_exception(type(cause), cause, _from_user_code(cause.__traceback__))
    return summary, "".join(lines).rstrip("\n")


def failure_log(exc: BaseException) -> str:
    """The log text of a failed run(): the place first, then the traceback with the wrapping error last."""
    summary, detail = describe_failure(exc)
    return f"Encountered Exception: {summary}\n{detail}\n{_chained(SCRIPT_RAISED)}"


def _chained(text: str) -> str:
    return (
        "\nThe above exception was the direct cause of the following exception:\n\n"
        f"{UserScriptError.__module__}.{UserScriptError.__qualname__}: {text}"
    )


def _cause(exc: BaseException) -> BaseException:
    if isinstance(exc, UserScriptError) and exc.__cause__ is not None:
        return exc.__cause__
    return exc


def _headline(exc: BaseException) -> str:
    """`ValueError: boom`; survives a `__str__` that raises."""
    lines = traceback.format_exception_only(type(exc), exc)
    return next((line.strip() for line in lines if not line.startswith(" ")), type(exc).__name__)


def _one_line(text: str) -> str:
    """`text` without line breaks or other control characters, at most 500 characters."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= 500 else text[:499] + "…"


def _place(exc: BaseException, script_file: Optional[str] = None) -> str:
    """`/path/score.py, line 12, in run`: the innermost frame in the script, else in a file that is no
    library's, else in any but ours."""
    script_file = _context.script_file if script_file is None else script_file
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{exc.filename}, line {exc.lineno}"
    best, best_rank = "", 0
    for frame, line in traceback.walk_tb(exc.__traceback__):
        file = frame.f_code.co_filename
        rank = 0 if _machinery(file) else 3 if file == script_file else 1 if _library(file) else 2
        if rank and rank >= best_rank:
            best, best_rank = f"{file}, line {line}, in {frame.f_code.co_name}", rank
    return best


def _from_user_code(tb: Optional[TracebackType]) -> Optional[TracebackType]:
    """The traceback from its first frame that is neither ours nor Python's import machinery."""
    start = tb
    while start is not None and _machinery(start.tb_frame.f_code.co_filename):
        start = start.tb_next
    return start


def _machinery(file: str) -> bool:
    return file.startswith((_HERE, "<frozen importlib"))


def _library(file: str) -> bool:
    return file.startswith((_STDLIB, "<")) or "site-packages" in file or "dist-packages" in file


def _hint(exc: BaseException) -> str:
    """How to get a library that scripts expect to come with the server."""
    if not isinstance(exc, ModuleNotFoundError) or not exc.name:
        return ""
    extra = EXTRAS.get(exc.name.partition(".")[0])
    if extra is None:
        return ""
    return f". Install it where the script runs: pip install 'azmlinfsrv[{extra}]'"
