"""Answered requests, as the front hands them over."""

from __future__ import annotations

from typing import Any, NamedTuple

from inference_server.http.head import RequestHead
from inference_server.messages import Answer, ScoringRequest
from inference_server.recording.making import Taken


class Ids(NamedTuple):
    request_id: str = "7a6a1f6e-2f6f-4b8c-9a53-0f5f8a4f7c11"
    client_request_id: str = ""


def taken(
    body: bytes = b'{"a": 1}',
    status: int = 500,
    answer: bytes = b'{"message": "no"}',
    *,
    target: bytes = b"/score",
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),),
    answer_headers: bytes = b"",
    id: str = Ids().request_id,
    failure: dict[str, Any] | None = None,
    when: float = 1_800_000_000.25,
) -> Taken:
    head = RequestHead("POST", target, "/score", target.partition(b"?")[2], b"HTTP/1.1", list(headers))
    request = ScoringRequest(head, [body[:3], body[3:]], len(body), 1.0, lambda answer: None, Ids(id))
    made = Answer(status, answer, headers=answer_headers)
    return Taken(status >= 400, request, made, status, 0.0123, {"run": 0.01}, None, when, failure)
