"""The answer to one request, as the worker makes it and before it becomes records on the channel."""

from __future__ import annotations

from typing import Any, Iterator, Optional, Sequence, Tuple, Union

from inference_server.scoring.encode import to_json
from inference_server.scoring.redaction import redacted

JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
JSON_LINES = "application/x-ndjson"

Body = Union[bytes, Iterator[bytes]]


class Answer:
    """Status, headers and body. A body that is not bytes is a stream: an iterator of bytes with `close()`."""

    __slots__ = ("body", "content_type", "failed", "headers", "status", "timed_out")

    def __init__(
        self,
        status: int,
        content_type: str,
        body: Body,
        failed: Optional[bool] = False,
        headers: Sequence[Tuple[str, str]] = (),
        timed_out: bool = False,
    ) -> None:
        self.status = status  # 200 to 999
        self.content_type = content_type  # "": none
        self.body = body
        self.failed = failed  # x-ms-run-function-failed; None: not sent
        self.headers = headers  # checked: no CR, LF or NUL, all latin-1
        self.timed_out = timed_out  # run() was ended by the scoring timeout


def message(status: int, text: str, failed: bool = False, **more: Any) -> Answer:
    """An error answer: a JSON object whose `message` is `text`."""
    return Answer(status, JSON, redacted(to_json({"message": text, **more})).encode(), failed)
