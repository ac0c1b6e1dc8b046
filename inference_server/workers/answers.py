"""Answers that the front gives in a worker's place."""

from __future__ import annotations

import json

from inference_server.messages import Answer
from inference_server.scoring.errors import SCRIPT_FAILED, TIMED_OUT

TOO_LATE = 408


def _message(status: int, text: str, failed: bool, headers: bytes = b"") -> Answer:
    return Answer(status, json.dumps({"message": text}).encode(), failed=failed, headers=headers)


def script_crashed() -> Answer:
    """The worker died while it ran this request."""
    return _message(500, SCRIPT_FAILED, True)


def timed_out(limit_ms: int) -> Answer:
    """run() passed the scoring timeout and its worker has not said so itself."""
    return _message(500, TIMED_OUT.format(limit_ms), True)


def unavailable(why: str) -> Answer:
    """No worker can take the request now."""
    return _message(503, why, False, b"Retry-After: 1\r\n")


def refused(status: int, why: str, retry_after: int) -> Answer:
    """The request is not taken in; one like it is predicted to be after so many seconds."""
    return _message(status, why, False, b"Retry-After: %d\r\n" % retry_after)


def too_late() -> Answer:
    """The request's own deadline passed before it was answered."""
    return _message(TOO_LATE, "The request was not answered before its deadline.", False)
