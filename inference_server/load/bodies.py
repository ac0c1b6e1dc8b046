"""The bodies that are sent: files, or folders of files, each file one body."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Body(NamedTuple):
    """One request's body and where it was found."""

    name: str  # the file, and the line where a file holds several; "": there is no body
    content_type: str
    content: bytes


NONE = Body("", "", b"")  # a request without a body


class NoBodies(Exception):
    """A name that gives no request; the text says which and why."""


def read(names: Sequence[str]) -> list[Body]:
    """All bodies of `names`, in their order; of a folder all files but hidden ones, by name.

    A file whose name ends in .jsonl holds one body in each line. Raises NoBodies.
    """
    return [body for name in names for path in _files(name) for body in _bodies(path)]


def _files(name: str) -> list[str]:
    if not os.path.isdir(name):
        return [name]
    found = [os.path.join(name, entry) for entry in sorted(os.listdir(name)) if not entry.startswith(".")]
    files = [path for path in found if os.path.isfile(path)]
    if not files:
        raise NoBodies(f"the folder {name} holds no file")
    return files


def _bodies(path: str) -> Iterator[Body]:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise NoBodies(f"{path} cannot be read: {error.strerror}") from None
    if not path.endswith(".jsonl"):
        yield Body(path, _content_type(path), content)
        return
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    if not lines:
        raise NoBodies(f"{path} holds no line")
    for number, line in lines:
        yield Body(f"{path}, line {number}", "application/json", line)


def _content_type(path: str) -> str:
    if path.endswith(".json"):
        return "application/json"
    return mimetypes.guess_type(path)[0] or "application/octet-stream"
