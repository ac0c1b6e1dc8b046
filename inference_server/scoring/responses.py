"""Response objects that run() returns, turned into answers: flask's, werkzeug's and our own stand-in."""

from __future__ import annotations

import re
import sys
from typing import Any, Iterator, List, Optional, Tuple, Union
from wsgiref.headers import Headers

from inference_server.scoring.answer import HTML, Answer
from inference_server.scoring.redaction import redacted_bytes
from inference_server.scoring.streams import Stream

FAILED_HEADER = "x-ms-run-function-failed"

# Names the server decides on: ids are overwritten, framing and connection headers are its own business.
SERVERS_OWN = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-ms-client-request-id",
        "x-ms-request-id",
        "x-request-id",
    }
)
# What 304 may not carry: it has no body these could describe (RFC 9110, 15.4.5).
ENTITY = frozenset({"allow", "content-encoding", "content-language", "content-range", "last-modified"})

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_BAD_VALUE = re.compile("[\r\n\0]")


class PlainHeaders(Headers):
    """The standard library's headers with the few extra words scripts use on flask's."""

    def add(self, name: str, value: str) -> None:
        """One more header, beside others of that name."""
        self.add_header(name, value)

    def set(self, name: str, value: str) -> None:
        """The only header of that name."""
        self[name] = value

    def getlist(self, name: str) -> List[str]:
        """All values of that name."""
        return self.get_all(name)

    def __iter__(self) -> Iterator[Tuple[str, str]]:
        return iter(self.items())


class PlainResponse:
    """What AMLResponse stands on where flask is not installed: a body, a status, a type and headers."""

    def __init__(self, response: Any = b"", status: Union[int, str] = 200, content_type: str = HTML) -> None:
        self.response = response
        self.status_code = int(status.split(None, 1)[0]) if isinstance(status, str) else status
        self.headers = PlainHeaders([("Content-Type", content_type)])

    @property
    def is_streamed(self) -> bool:
        return not hasattr(self.response, "__len__")

    @property
    def data(self) -> bytes:
        return self.get_data()

    def get_data(self) -> bytes:
        """The whole body; a streamed one is consumed."""
        return b"".join(self.iter_encoded())

    def set_data(self, value: Union[str, bytes]) -> None:
        self.response = value

    def iter_encoded(self) -> Iterator[bytes]:
        """The items of the body as bytes; text as UTF-8."""
        items = [self.response] if isinstance(self.response, (str, bytes, bytearray)) else self.response
        for item in items:
            yield item.encode() if isinstance(item, str) else item  # type: ignore[misc]

    def close(self) -> None:
        """Let go of what the body holds."""
        close = getattr(self.response, "close", None)
        if close is not None:
            close()


def is_response(value: Any) -> bool:
    """Whether `value` is a response object of a kind we know."""
    if isinstance(value, PlainResponse):
        return True
    werkzeug = sys.modules.get("werkzeug.wrappers")  # never imported here: the script must have done so
    return werkzeug is not None and isinstance(value, werkzeug.Response)


def from_response(response: Any) -> Answer:
    """The answer a response object stands for.

    Content-Type appears once; ids and connection headers are left to the server; a status of 500 or more
    counts as the script's failure whatever its header says. Raises ValueError or TypeError for a response
    that cannot be sent: a status outside 200 to 999, a header with a line break, an item that is not bytes.
    """
    status = response.status_code
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise ValueError(f"a response's status must lie between 200 and 999, this one's is {status!r}")
    content_type, failed, headers = _headers(response)
    if status >= 500:
        failed = True
    if status == 304:
        content_type = ""
        headers = [pair for pair in headers if pair[0].lower() not in ENTITY]
    if status in (204, 304):
        response.close()
        return Answer(status, content_type, b"", failed, headers)
    if response.is_streamed:
        return Answer(
            status,
            content_type,
            Stream(response.iter_encoded(), response.close, json_lines=False),
            failed,
            headers,
        )
    try:
        body = b"".join(response.iter_encoded())
    finally:
        response.close()
    # a script that answers with str(error) may not know what that holds
    return Answer(status, content_type, redacted_bytes(body) if status >= 400 else body, failed, headers)


def _headers(response: Any) -> Tuple[str, Optional[bool], List[Tuple[str, str]]]:
    """(content type, run-function-failed, all others) of a response."""
    content_type = ""
    failed: Optional[bool] = None
    others: List[Tuple[str, str]] = []
    for name, value in response.headers:
        key = name.lower()
        _check(name, value)
        if key == "content-type":
            content_type = content_type or value
        elif key == FAILED_HEADER and failed is None and value in ("True", "False"):
            failed = value == "True"  # the first is the server's own; a script's own comes after it
        elif key not in SERVERS_OWN:
            others.append((name, value))
    return content_type, failed, others


def _check(name: str, value: str) -> None:
    """Raises ValueError for a header that would break the answer apart."""
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a header name")
    if _BAD_VALUE.search(value):
        raise ValueError(f"the value of header {name!r} holds a line break or NUL: {value!r}")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"the value of header {name!r} is not latin-1 text: {value!r}") from None
