"""Compressed request bodies, inflated up to a limit."""

from __future__ import annotations

import zlib
from typing import Callable

from inference_server.scoring.errors import BadInput
from inference_server.scoring.request import Bytes

GZIP, ZLIB, DEFLATE = 31, 15, -15  # zlib's window sizes; gzip's container, zlib's, none
SUPPORTED = "gzip, deflate"


def inflate(body: Bytes, coding: str, limit: int) -> Bytes:
    """`body` without its Content-Encoding `coding`, at most `limit` bytes of it (0: no limit).

    Raises BadInput: 400 for data that is corrupt or cut short, 413 over the limit, 415 for a coding we do not
    know, or several at once.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    open_one = _opener(name, body)
    if not len(body):
        return body
    pieces = []
    room = limit
    rest = bytes(body)
    try:
        while rest:  # gzip allows one member after the other
            member = open_one()
            piece = member.decompress(rest, room + 1 if limit else 0)
            pieces.append(piece)
            if limit:
                room -= len(piece)
                if room < 0:
                    raise BadInput(413, f"The request body is larger than {limit} bytes after decompression.")
            if not member.eof:
                raise zlib.error("the data ends too early")
            rest = member.unused_data
            if rest and name == "deflate":
                raise zlib.error("there is more data after the end")
    except zlib.error as error:
        raise BadInput(400, f"The request body could not be decompressed as {name}: {error}") from None
    return b"".join(pieces)


def _opener(name: str, body: Bytes) -> Callable[[], zlib._Decompress]:
    if name in ("gzip", "x-gzip"):
        return lambda: zlib.decompressobj(GZIP)
    if name != "deflate":
        refused = BadInput(
            415, f"Content-Encoding '{name}' is not supported. Supported encodings: {SUPPORTED}."
        )
        refused.answer.headers = [("Accept-Encoding", SUPPORTED)]
        raise refused
    # Half of the world sends zlib's container under this name, as the standard says, the other half none.
    zlib_header = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return lambda: zlib.decompressobj(ZLIB if zlib_header else DEFLATE)
