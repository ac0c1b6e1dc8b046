"""What the engine asks of a source, and what a source answers: the seam between where files come from and how they
are brought here.

Everything here is called from several threads at once; a source serves them all. Blocking calls let the interpreter
lock go and have time limits of their own, so that a thread is never lost in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from inference_server.errors import InferenceServerError

Buffer = (
    bytes | bytearray | memoryview
)  # what read() yields; other objects with the buffer protocol do as well


class SourceError(InferenceServerError):
    """A source cannot give what was asked, and asking again would not help. One line: what, where, how to fix it;
    never a secret."""


class Cut(SourceError):
    """It broke off, was refused for now, or stalled: asking again may help.

    `retry_after`: seconds the other side asked to wait for; None when it did not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Changed(SourceError):
    """The object is not the one that was listed: its validator is another. What was read of it is worthless."""


@dataclass(frozen=True)
class Entry:
    """One object or file of a source."""

    path: str  # relative, '/' between its parts; of a source that is one file: the file's name
    size: int | None  # bytes; None: unknown
    etag: str = (
        ""  # whatever changes when the content does (ETag, version, modification time); "": nothing does
    )
    md5: bytes = b""  # of the content, when the store tells; b"": it does not
    sha256: bytes = b""  # likewise
    executable: bool = False


class Source(Protocol):
    """A file, or a folder of files, somewhere."""

    @property
    def spoken(self) -> str:
        """The address without its secrets, for the log and the manifest. One source, one text."""

    @property
    def name(self) -> str:
        """The last element of the address: the name of the file, or of the folder; "" when it has none."""

    @property
    def is_folder(self) -> bool | None:
        """Whether it is a folder. None: not known before entries() was called."""

    @property
    def ranged(self) -> bool:
        """Whether read() can begin anywhere. Otherwise `start` is always 0."""

    def entries(self) -> Sequence[Entry]:
        """Every file, listed afresh. Raises Cut, or SourceError when there is none or it may not be read."""

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop` (None: to the end), in pieces of about a mebibyte or less.

        Raises Cut, Changed (the validator is not `entry.etag` any more), SourceError. May end early: the caller counts.
        """

    def close(self) -> None:
        """Let connections go. Called once, also after errors."""
