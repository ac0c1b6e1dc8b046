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
from binascii import hexlify
from typing import NamedTuple, Protocol

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


class Identity(Protocol):
    """The ids of one request."""

    @property
    def request_id(self) -> str:
        """x-request-id; empty: not sent."""

    @property
    def ms_request_id(self) -> str: ...

    @property
    def client_request_id(self) -> str: ...

    @property
    def lines(self) -> bytes:
        """The header lines of the answer, each ended by CRLF."""

    @property
    def deprecated(self) -> bool:
        """Whether DEPRECATED is to be logged."""

    @property
    def refusal(self) -> str:
        """The text of a 431; empty for a good request."""


class GivenIdentity:
    """Of a request that brought some."""

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
        self.request_id = request_id
        self.ms_request_id = ms_request_id
        self.client_request_id = client_request_id
        self.lines = lines
        self.deprecated = deprecated
        self.refusal = refusal


class NewIdentity:
    """Of a request that brought none. What is asked of it besides its lines is read from them then."""

    __slots__ = ("lines",)

    deprecated = False
    refusal = ""
    client_request_id = ""

    def __init__(self, lines: bytes) -> None:
        self.lines = lines

    @property
    def request_id(self) -> str:
        return self.lines[_FIRST_ID : _FIRST_ID + _DIGITS].decode("ascii")

    ms_request_id = request_id


_BLOCK = 256
_DIGITS = 36  # of a UUID as text, its dashes included
_LINES = b"x-request-id: %b\r\nx-ms-request-id: %b\r\n" % ((b"00000000-0000-0000-0000-000000000000",) * 2)
_FIRST_ID, _SECOND_ID = _LINES.index(b"0"), _LINES.index(b"0", len(_LINES) // 2)
_WRITTEN = [place for place in range(_DIGITS) if place not in (8, 13, 18, 23)]  # where no dash stands
_AS_VERSION_4 = bytes(0x40 | value & 0x0F for value in range(256))
_AS_VARIANT_1 = bytes(0x80 | value & 0x3F for value in range(256))
_ready: list[bytes] = []


def _make_ready() -> None:
    """A block of header lines, each with its own random UUID (version 4).

    Made many at a time, column by column: one call of the system's generator, and for each digit one slice
    through all the lines. So a new identity costs less than half a microsecond.
    """
    block = bytearray(os.urandom(16 * _BLOCK))
    block[6::16] = block[6::16].translate(_AS_VERSION_4)
    block[8::16] = block[8::16].translate(_AS_VARIANT_1)
    digits = hexlify(block)
    size = len(_LINES)
    lines = bytearray(_LINES * _BLOCK)
    for number, place in enumerate(_WRITTEN):
        column = digits[number::32]
        lines[_FIRST_ID + place :: size] = column
        lines[_SECOND_ID + place :: size] = column
    _ready.extend([bytes(lines[at : at + size]) for at in range(0, len(lines), size)])


if hasattr(os, "register_at_fork"):  # a forked child must not hand out its parent's ids
    os.register_at_fork(after_in_child=_ready.clear)


def new_identity() -> Identity:
    """The ids of a request that brought none."""
    if not _ready:
        _make_ready()
    return NewIdentity(_ready.pop())


def identify(given: GivenIds | None) -> Identity:
    """The ids of a request that brought `given`; None: it brought none of the four headers."""
    if given is None:
        return new_identity()
    request = given.request if given.request is not None else _new_id()
    trace = b"TraceId: %b\r\n" % given.trace if given.trace else b""
    deprecated = bool(given.ms_request)
    if len(request) > MAX_CHARACTERS:
        return GivenIdentity("", "", "", trace, refusal=_TOO_LONG)
    client = given.ms_client or given.ms_request or b""
    ms_request = given.ms_request or client or request
    if len(ms_request) > MAX_CHARACTERS or len(client) > MAX_CHARACTERS:
        lines = _line(b"x-request-id", request) + trace
        return GivenIdentity(request.decode("latin-1"), "", "", lines, deprecated, _MS_TOO_LONG)
    lines = (
        _line(b"x-request-id", request)
        + _line(b"x-ms-request-id", ms_request)
        + _line(b"x-ms-client-request-id", client)
        + trace
    )
    return GivenIdentity(
        request.decode("latin-1"), ms_request.decode("latin-1"), client.decode("latin-1"), lines, deprecated
    )


def _new_id() -> bytes:
    return new_identity().lines[_FIRST_ID : _FIRST_ID + _DIGITS]


def _line(name: bytes, value: bytes) -> bytes:
    return b"%b: %b\r\n" % (name, value) if value else b""
