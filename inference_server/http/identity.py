"""The ids by which one request is known in answers and logs.

| x-request-id | x-ms-request-id | x-ms-client-request-id | answered: in the same order |
| ------------ | --------------- | ---------------------- | --------------------------- |
| none         | none            | none                   | new U, U, absent            |
| A            | none            | none                   | A, A, absent                |
| none or A    | B               | none                   | U or A, B, B                |
| none or A    | none            | C                      | U or A, C, C                |
| none or A    | B               | C                      | U or A, B, C                |
| empty        | none            | none                   | absent, absent, absent      |

An empty x-ms id counts as none. `TraceId` is echoed. An id over 100 characters is refused with 431: when it is
x-request-id none of the three is sent back, when it is one of the others these two are not.
"""

from __future__ import annotations

import os
from typing import NamedTuple

MAX_CHARACTERS = 100
NAMES = (b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id", b"traceid")
DEPRECATED = (
    "x-ms-request-id header has been deprecated and will be removed from future versions of the server. "
    "Please use x-ms-client-request-id."
)
_TOO_LONG = f"x-request-id must not exceed {MAX_CHARACTERS} characters"
_MS_TOO_LONG = f"x-ms-request-id and x-ms-client-request-id must not exceed {MAX_CHARACTERS} characters"


class GivenIds(NamedTuple):
    """What the request brought; None: the header is absent."""

    request: bytes | None
    ms_request: bytes | None
    ms_client: bytes | None
    trace: bytes | None


class Identity:
    """The ids of one request. `refusal`: the text of a 431, empty for a good request."""

    __slots__ = ("client_request_id", "deprecated", "lines", "ms_request_id", "refusal", "request_id")

    def __init__(
        self,
        request_id: str,
        ms_request_id: str,
        client_request_id: str,
        lines: bytes,
        deprecated: bool = False,
        refusal: str = "",
    ) -> None:
        self.request_id = request_id  # x-request-id; empty: not sent
        self.ms_request_id = ms_request_id
        self.client_request_id = client_request_id
        self.lines = lines  # the header lines of the answer, each ended by CRLF
        self.deprecated = deprecated  # DEPRECATED is to be logged
        self.refusal = refusal


_BLOCK = 256
_AS_VERSION_4 = bytes(0x40 | value & 0x0F for value in range(256))
_AS_VARIANT_1 = bytes(0x80 | value & 0x3F for value in range(256))
_waiting: list[str] = []


def new_uuid() -> str:
    """A random UUID (version 4) as text. Made in blocks: one call of the system's generator for many."""
    if not _waiting:
        block = bytearray(os.urandom(16 * _BLOCK))
        block[6::16] = block[6::16].translate(_AS_VERSION_4)
        block[8::16] = block[8::16].translate(_AS_VARIANT_1)
        digits = block.hex()
        each = [digits[at : at + 32] for at in range(0, len(digits), 32)]
        _waiting.extend([f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}" for d in each])
    return _waiting.pop()


if hasattr(os, "register_at_fork"):  # a forked child must not hand out its parent's ids
    os.register_at_fork(after_in_child=_waiting.clear)


def new_identity() -> Identity:
    """The ids of a request that brought none."""
    new = _waiting.pop() if _waiting else new_uuid()
    return Identity(new, new, "", f"x-request-id: {new}\r\nx-ms-request-id: {new}\r\n".encode("ascii"))


def identify(given: GivenIds | None) -> Identity:
    """The ids of a request that brought `given`; None: it brought none of the four headers."""
    if given is None:
        return new_identity()
    request = given.request if given.request is not None else new_uuid().encode("ascii")
    trace = b"TraceId: %b\r\n" % given.trace if given.trace else b""
    deprecated = bool(given.ms_request)
    if len(request) > MAX_CHARACTERS:
        return Identity("", "", "", trace, refusal=_TOO_LONG)
    client = given.ms_client or given.ms_request or b""
    ms_request = given.ms_request or client or request
    if len(ms_request) > MAX_CHARACTERS or len(client) > MAX_CHARACTERS:
        lines = _line(b"x-request-id", request) + trace
        return Identity(request.decode("latin-1"), "", "", lines, deprecated, _MS_TOO_LONG)
    lines = (
        _line(b"x-request-id", request)
        + _line(b"x-ms-request-id", ms_request)
        + _line(b"x-ms-client-request-id", client)
        + trace
    )
    return Identity(
        request.decode("latin-1"), ms_request.decode("latin-1"), client.decode("latin-1"), lines, deprecated
    )


def _line(name: bytes, value: bytes) -> bytes:
    return b"%b: %b\r\n" % (name, value) if value else b""
