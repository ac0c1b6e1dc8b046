"""One tree for everything that can go wrong outside the worker; each error knows who is at fault.

    InferenceServerError
    ├── SettingsError         the operator: a flag, variable or file; says where and how to fix it
    ├── StartError            the script could not be started; exit code 3
    │   └── SecretsError      what a variable refers to cannot be had
    └── RequestRefused        the caller: the request is not served; carries its HTTP status

What a caller sees of a failing script is fixed by the contract and lives with the code that produces it
(`scoring/errors.py`).
"""

from __future__ import annotations

from collections.abc import Sequence


class InferenceServerError(Exception):
    """Base of all our errors. `exit_code` is what the command exits with when it ends because of one."""

    exit_code = 1


class SettingsError(InferenceServerError):
    """A setting is missing or wrong. The message names the flag or variable, its value and the fix."""


class StartError(InferenceServerError):
    """The script could not be started: `summary` is one line, `detail` the traceback, `files` the user's own that
    were loaded."""

    exit_code = 3

    def __init__(self, summary: str, detail: str = "", files: tuple[str, ...] = ()) -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail
        self.files = files


class SecretsError(StartError):
    """Variables refer to what cannot be had: `problems` is a sentence for each, without any value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class RequestRefused(InferenceServerError):
    """The request is refused before any script runs, and its connection is closed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
