"""Why a request head is refused: the slow walk that follows when the fast scan found a misfit."""

from __future__ import annotations

from inference_server.errors import RequestRefused
from inference_server.http import grammar
from inference_server.http.limits import Limits

BARE = "a line of the request head does not end in CRLF, or it holds a control character"


def line_too_long(limits: Limits) -> RequestRefused:
    return RequestRefused(414, f"the request line is longer than {limits.request_line} bytes")


def field_too_long(limits: Limits) -> RequestRefused:
    return RequestRefused(431, f"a header is longer than {limits.field_size} bytes")


def too_many_fields(limits: Limits) -> RequestRefused:
    return RequestRefused(431, f"more than {limits.fields} headers")


def head_too_long(limits: Limits) -> RequestRefused:
    return RequestRefused(431, f"the request head is longer than {limits.head_bytes} bytes")


def diagnose(head: bytes, limits: Limits) -> RequestRefused:
    """The first thing wrong with a head that does not match `grammar.HEAD`.

    >>> diagnose(b"get / HTTP/1.1\\r\\n\\r\\n", Limits()).status
    400
    """
    line, _, rest = head.removeprefix(b"\r\n").partition(b"\r\n")
    if len(line) > limits.request_line:
        return line_too_long(limits)
    if grammar.NEVER_VALID.search(head):
        return RequestRefused(400, BARE)
    return _in_request_line(line) or _in_fields(rest, limits) or RequestRefused(400, "malformed request head")


def _in_request_line(line: bytes) -> RequestRefused | None:
    parts = line.split(b" ")
    if len(parts) != 3:
        return RequestRefused(400, "the request line is not METHOD TARGET VERSION, each one space apart")
    method, target, version = parts
    if not grammar.IS_VERSION.fullmatch(version):
        return RequestRefused(400, "malformed HTTP version")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return RequestRefused(505, "this server speaks HTTP/1.1 and HTTP/1.0")
    if not grammar.IS_METHOD.fullmatch(method):
        return RequestRefused(400, "malformed method name")
    if not grammar.IS_TARGET.fullmatch(target):
        return RequestRefused(400, "the request target holds a character that must be percent-encoded")
    return None


def _in_fields(block: bytes, limits: Limits) -> RequestRefused | None:
    lines = block.split(b"\r\n")
    if len(lines) - 2 > limits.fields:
        return too_many_fields(limits)
    for line in lines[:-2]:  # the head ends in CRLFCRLF, so the last two are empty
        if len(line) > limits.field_size:
            return field_too_long(limits)
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            return RequestRefused(400, "a folded header line")
        if not colon:
            return RequestRefused(400, "a header line without a colon")
        if name.endswith((b" ", b"\t")):
            return RequestRefused(400, "white space between a header name and its colon")
        if not grammar.IS_NAME.fullmatch(name):
            return RequestRefused(400, "malformed header name")
        if not grammar.IS_VALUE.fullmatch(value):
            return RequestRefused(400, "malformed header value")
    return None


def incomplete(buffer: bytes | bytearray, limits: Limits, seen: int = 0) -> None:
    """Check what has arrived of a head whose end is not there yet; `seen`: how much of it was checked before.

    Counts bytes as they arrive, so that a head which can never be accepted is refused before the client has
    sent all of it. Raises RequestRefused with 400, 414 or 431.
    """
    line_end = buffer.find(b"\r\n", 2 if buffer.startswith(b"\r\n") else 0, limits.request_line + 4)
    if line_end < 0 and len(buffer) > limits.request_line + 3:
        raise line_too_long(limits)
    if grammar.NEVER_VALID.search(buffer, max(seen - 1, 0)):
        raise RequestRefused(400, BARE)
    if len(buffer) > limits.head_bytes:
        raise head_too_long(limits)
    if line_end >= 0:
        if len(buffer) - buffer.rfind(b"\n") > limits.field_size + 2:
            raise field_too_long(limits)
        if buffer.count(b"\n") > limits.fields + 2:
            raise too_many_fields(limits)
