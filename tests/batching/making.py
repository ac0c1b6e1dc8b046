"""Requests for the tests of this room."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from inference_server.messages import Head, ScoringRequest


def make(body_bytes: int = 1, deadline: float = 0.0, arrived: float = 0.0) -> ScoringRequest:
    """One that waits and tells nobody."""
    head = cast(Head, SimpleNamespace())
    request = ScoringRequest(head, [b"x" * body_bytes], body_bytes, arrived, lambda answer: None)
    request.deadline = deadline
    return request
