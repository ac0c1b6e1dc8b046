"""Requests as the bytes that are sent."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from inference_server import __version__
from inference_server.load.bodies import Body
from inference_server.load.target import Target

Header = tuple[str, str]
# Of the requests ask where their time goes: enough to know, and hardly any work for the server. The first ones all
# ask, so that a few slow ones tell something too.
TIMED, _FIRST = 1 / 16, 200
_ASKS = b"Server-Timing: ?\r\n"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_OURS = ("content-length", "transfer-encoding")
_WITH_BODY = ("POST", "PUT", "PATCH")


class Request(NamedTuple):
    """One request, ready to be sent."""

    place: int  # which of the bodies it has
    content: bytes
    timed: bool = False  # asks for a Server-Timing header


class InTurn:
    """Requests with one body after the other, without end. `timed`: which share asks for Server-Timing, once the first
    ones have; 0: none does."""

    def __init__(
        self,
        where: Target,
        bodies: Sequence[Body],
        method: str = "POST",
        headers: Sequence[Header] = (),
        timed: float = 0.0,
    ) -> None:
        heads = [_head(where, body, method, headers) for body in bodies]
        self._plain = [
            Request(place, head + b"\r\n" + body.content)
            for place, (head, body) in enumerate(zip(heads, bodies, strict=True))
        ]
        self._timed = [
            Request(place, head + _ASKS + b"\r\n" + body.content, True)
            for place, (head, body) in enumerate(zip(heads, bodies, strict=True))
        ]
        self._share = timed
        self._chance = random.Random(0).random  # not every n-th: with n bodies that were always the same one
        self._next = 0
        self._first = _FIRST

    def __next__(self) -> Request:
        place = self._next
        self._next = place + 1 if place + 1 < len(self._plain) else 0
        if self._share and (self._first > 0 or self._chance() < self._share):
            self._first -= 1
            return self._timed[place]
        return self._plain[place]


def header(text: str) -> Header:
    """A header from `Name: value`. Raises ValueError for what is none, or is not for the caller to give."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"expects a header such as 'Name: value', got {text!r}")
    if name.lower() in _OURS:
        raise ValueError(f"{name} follows from the request's body and cannot be given")
    return name, value


def _head(where: Target, body: Body, method: str, headers: Sequence[Header]) -> bytes:
    """Everything before the empty line."""
    lines = {"Host": where.host, "User-Agent": f"azmlinfsrv-bench/{__version__}", "Accept": "*/*"}
    if body.content_type:
        lines["Content-Type"] = body.content_type
    given = {name.lower() for name, _ in headers}
    all_lines = [(name, value) for name, value in lines.items() if name.lower() not in given]
    all_lines += headers
    if body.content or method in _WITH_BODY:
        all_lines.append(("Content-Length", str(len(body.content))))
    text = "".join(f"{name}: {value}\r\n" for name, value in all_lines)
    return f"{method} {where.path} HTTP/1.1\r\n{text}".encode("latin-1")
