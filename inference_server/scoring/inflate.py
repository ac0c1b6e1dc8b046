"""Compressed request bodies, inflated up to a limit."""

from __future__ import annotations

import zlib
from typing import Callable, Iterator

from inference_server.scoring.errors import BadInput
from inference_server.scoring.request import Bytes

GZIP, ZLIB, DEFLATE = 31, 15, -15  # zlib's window sizes; gzip's container, zlib's, none
SUPPORTED = "gzip, deflate"
SLICE_BYTES = 65536  # fed at a time: zlib copies what follows a member, which must not be all that is left
MEMBERS = 1000  # gzip members in one body; each costs time, however little it holds


def inflate(body: Bytes, coding: str, limit: int) -> Bytes:
    """`body` without its Content-Encoding `coding`, at most `limit` bytes of it (0: no limit).

    Raises BadInput: 400 for data that is corrupt, cut short or in too many members, 413 over the limit, 415 for a coding we do not
    know, or several at once.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    open_one = _opener(name, body)
    if not len(body):
        return body
    try:
        return b"".join(_pieces(open_one, memoryview(body), limit, many=name != "deflate"))
    except zlib.error as error:
        raise BadInput(400, f"The request body could not be decompressed as {name}: {error}") from None


def _pieces(
    open_one: Callable[[], zlib._Decompress], data: memoryview, limit: int, many: bool
) -> Iterator[bytes]:
    """What `data` inflates to; gzip (`many`) allows one member after the other."""
    at, end, room, members = 0, len(data), limit, 0
    while at < end:
        members += 1
        if members > MEMBERS:
            raise BadInput(400, f"The request body has more than {MEMBERS} gzip members. Compress it as one.")
        member = open_one()
        while not member.eof:
            if at == end:
                raise zlib.error("the data ends too early")
            fed = data[at : at + SLICE_BYTES]
            piece = member.decompress(fed, room + 1 if limit else 0)
            at += len(fed) - len(member.unused_data)
            room -= len(piece)
            if limit and room < 0:
                raise BadInput(413, f"The request body is larger than {limit} bytes after decompression.")
            yield piece
        if at < end and not many:
            raise zlib.error("there is more data after the end")


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
