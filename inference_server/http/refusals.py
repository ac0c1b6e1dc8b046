"""Every answer the server gives on its own: the fixed texts, and what becomes of an error."""

from __future__ import annotations

import json

from inference_server.errors import RequestRefused
from inference_server.messages import Answer

NOT_FOUND = (
    "The requested URL was not found on the server. If you entered the URL manually please check your "
    "spelling and try again."
)
METHOD_NOT_ALLOWED = "The method is not allowed for the requested URL."
HEAD_NOT_ALLOWED = "Method not allowed"  # HEAD /score, unless the script asked for raw requests
CLIENT_LEFT = 499  # never sent: how logs and metrics call a request whose client did not wait for the answer
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."


def message(status: int, text: str, headers: bytes = b"") -> Answer:
    """An answer with the JSON body `{"message": text}`; `headers`: more lines, each ended by CRLF."""
    return Answer(status, json.dumps({"message": text}).encode("ascii"), headers=headers)


def not_found() -> Answer:
    return message(404, NOT_FOUND)


def method_not_allowed(allow: str, text: str = METHOD_NOT_ALLOWED) -> Answer:
    """405; `allow`: the methods that are, as `GET, HEAD`."""
    return message(405, text, b"Allow: %b\r\n" % allow.encode("ascii"))


def client_left() -> Answer:
    """What is noted of a request that nobody waits for any more."""
    return Answer(CLIENT_LEFT, b"", failed=None)


def answer_to(error: Exception) -> Answer:
    """What the caller gets for `error`. The text of an error that is not about the request stays in the log."""
    if isinstance(error, RequestRefused):
        return message(error.status, error.message)
    return message(500, INTERNAL_ERROR)
