"""What goes wrong in a worker, who is at fault, and what the caller and the log are told.

    UserScriptError    the script: it cannot be loaded, init() failed, run() raised or gave a broken response
    BadInput           the caller: the body does not fit what run() takes; carries its answer
    Unserializable     the server: the value run() returned cannot be turned into an answer

A caller sees fixed texts only. The log gets the place in the user's own file first, then the traceback.
"""

from __future__ import annotations

import traceback
from typing import NamedTuple, Optional, Tuple

from inference_server.scoring.answer import Answer, message
from inference_server.scoring.places import Place, from_user_code, place_of
from inference_server.scoring.redaction import redacted

SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."
TIMED_OUT = "Scoring timeout after {} ms"

IMPORT_RAISED = "Failed to import user script because it raised an unhandled exception"
SCRIPT_RAISED = "Caught an unhandled exception from the user script"

# Libraries that scripts expect to come with the server, and the extra that brings them.
EXTRAS = {"inference_schema": "azureml", "flask": "azureml"}


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

    missing = False  # there is no such script: the summary says all, what was raised is of our own making

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

    In development the body also carries `location` (file, line, function and source of their own frame), `error` and
    `traceback`.
    """
    if not _context.development:
        return message(500, SCRIPT_FAILED, failed=True)
    summary, detail = describe_failure(exc)
    where = place(exc)
    location = where._asdict() if where is not None else None
    return message(500, SCRIPT_FAILED, failed=True, location=location, error=summary, traceback=detail)


def timed_out(limit_ms: int) -> Answer:
    """The answer when run() passed the scoring timeout, or raised TimeoutError itself."""
    return message(500, TIMED_OUT.format(limit_ms), failed=True)


def internal_error(exc: Optional[BaseException] = None) -> Answer:
    """The answer when the result cannot be sent, or the server itself failed: 500, not the script's failure.

    In development the body also carries `error`, what was wrong.
    """
    if exc is None or not _context.development:
        return message(500, INTERNAL_ERROR)
    return message(500, INTERNAL_ERROR, error=headline(exc))


def describe_failure(exc: BaseException, script_file: Optional[str] = None) -> Tuple[str, str]:
    """(one line: what was raised and where in the user's files, the whole traceback).

    `script_file` is the script being served unless given. A UserScriptError is seen through to what caused
    it. The traceback starts at the user's code: frames of ours before it are left out, and so is the import
    machinery. Neither text ends with a newline.
    """
    cause = _cause(exc)
    where = place(cause, script_file)
    summary = headline(cause)
    if where:
        summary += f" ({where})"
    summary += hint(cause)
    lines = traceback.format_exception(type(cause), cause, from_user_code(cause.__traceback__))
    return summary, "".join(lines).rstrip("\n")


def place(exc: BaseException, script_file: Optional[str] = None) -> Optional[Place]:
    """Where it was raised in the user's code; `script_file` is the script being served unless given."""
    return place_of(_cause(exc), _context.script_file if script_file is None else script_file)


def headline(exc: BaseException) -> str:
    """`ValueError: boom`, on one line; of a UserScriptError, what caused it."""
    return _one_line(_headline(_cause(exc)))


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
    text = "".join(c if c.isprintable() else " " for c in redacted(text))
    return text if len(text) <= 500 else text[:499] + "…"


def hint(exc: BaseException) -> str:
    """How to get a library that scripts expect to come with the server."""
    if not isinstance(exc, ModuleNotFoundError) or not exc.name:
        return ""
    extra = EXTRAS.get(exc.name.partition(".")[0])
    if extra is None:
        return ""
    return f". Install it where the script runs: pip install 'azmlinfsrv[{extra}]'"
