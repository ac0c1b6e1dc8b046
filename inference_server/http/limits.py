"""How much of a request is read before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields

NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Limits:
    """All in bytes or counts; 0 means no limit, and reads as NO_LIMIT.

    The first three defaults are gunicorn's, so that nothing it accepted is refused for its size alone.
    """

    request_line: int = 4094  # without the line end; over it: 414
    fields: int = 100  # header lines; over it: 431
    field_size: int = 8190  # one header line without its end; over it: 431
    head_bytes: int = 65536  # request line and all headers; over it: 431
    body_bytes: int = 512 * 1024 * 1024  # by Content-Length or by chunks, as sent; over it: 413
    chunks: int = 100_000  # in one chunked body; over it: 413
    chunk_extension_bytes: int = 1024  # all extensions of one body together; over it: 413
    trailer_bytes: int = 8190  # all trailer lines together; over it: 431

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) == 0:
                object.__setattr__(self, each.name, NO_LIMIT)
