"""`rawhttp` and `AMLRequest`, under the names scripts import them by (see compat.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

from inference_server.scoring import raw

__all__ = ["AMLRequest", "rawhttp"]

if TYPE_CHECKING:
    _Request = Any
else:
    try:
        from flask import Request as _Request
    except ImportError:  # scripts that only name AMLRequest in a type hint need no flask
        _Request = object

Run = TypeVar("Run", bound=Callable[..., Any])


class AMLRequest(_Request):  # type: ignore[misc]
    """The request a raw script's run() is given: flask's own, under the name for type hints."""


def rawhttp(run: Run) -> Run:
    """Ask for the whole HTTP request instead of its body. Marks the process, whatever function it stands on."""
    raw.ask()
    return run
