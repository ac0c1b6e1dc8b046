"""Answers of an endpoint itself: no deployment for the request, or no permission."""

from __future__ import annotations

import json
from collections.abc import Iterable

from inference_server.messages import Answer

NO_TRAFFIC = "No deployment of this endpoint gets traffic."
UNKNOWN = "This endpoint has no deployment {}."
SHOWN_CHARACTERS = 64
UNAUTHORIZED = "The request is not authorized: a valid key or token is needed, as Authorization: Bearer …"


def _message(status: int, text: str, headers: bytes = b"") -> Answer:
    return Answer(status, json.dumps({"message": text}).encode(), failed=None, headers=headers)


def no_traffic() -> Answer:
    """A request that names no deployment, where none has a share."""
    return _message(404, NO_TRAFFIC)


def unknown_deployment(name: str, names: Iterable[str] | None = None) -> Answer:
    """A request that names a deployment which is not there. `names` of those that are: for authorized callers only."""
    text = UNKNOWN.format(repr(name[:SHOWN_CHARACTERS]))
    if names is not None:
        text += f" It has: {', '.join(names) or 'none'}."
    return _message(404, text)


def unauthorized() -> Answer:
    """The same whatever is wrong: the log says more."""
    return _message(401, UNAUTHORIZED, b"WWW-Authenticate: Bearer\r\n")
