"""Requests to try a script with: read from files, made from the script's own sample."""

from __future__ import annotations

import base64
import json
import mimetypes
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_server.errors import SettingsError

STANDARD_INPUT = "-"
JSON = "application/json"
# What a folder of requests may also hold, and what is none.
_NOT_REQUESTS = frozenset({".md", ".py", ".yml", ".yaml"})
_TYPES = {".json": JSON, ".txt": "text/plain", ".csv": "text/csv"}


@dataclass(frozen=True)
class TrialRequest:
    """One request: how the report calls it, and what the script gets."""

    name: str
    body: bytes = b""
    content_type: str = JSON
    method: str = "POST"
    target: str = "/score"
    headers: tuple[tuple[str, str], ...] = ()  # names in lower case; they win over the content type
    stops: tuple[
        tuple[str, int], ...
    ] = ()  # lines of files where a debugger is to stop, beside run()'s first

    def facts(self) -> dict[str, Any]:
        """As scoring.trial reads it."""
        headers = list(self.headers)
        names = {name for name, _ in headers}
        if self.body and "content-type" not in names:
            headers.append(("content-type", self.content_type))
        if "content-length" not in names:
            headers.append(("content-length", str(len(self.body))))
        body = base64.b64encode(self.body).decode()
        facts = {"method": self.method, "target": self.target, "headers": headers, "body": body}
        return {**facts, "stops": self.stops} if self.stops else facts


def read(paths: Sequence[str], headers: tuple[tuple[str, str], ...] = ()) -> list[TrialRequest]:
    """The requests in files, and in the files of folders by their names. `-` is standard input.

    Raises SettingsError for a path that does not exist and a folder with no request in it.
    """
    found: list[TrialRequest] = []
    for path in paths:
        if path == STANDARD_INPUT:
            found.append(TrialRequest("standard input", sys.stdin.buffer.read(), headers=headers))
        else:
            found += [_of_file(file, headers) for file in _files(Path(path))]
    return found


def of_sample(sample: Any, headers: tuple[tuple[str, str], ...] = ()) -> TrialRequest:
    """The request that a script's own sample makes."""
    return TrialRequest("sample of @input_schema", json.dumps(sample).encode(), headers=headers)


def parse_headers(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`Name: value` lines as pairs. Raises SettingsError for a line that is none."""
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise SettingsError(f"a header is written 'Name: value', not {line!r}")
        pairs.append((name.strip().lower(), value.strip()))
    return tuple(pairs)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SettingsError(f"the request file {path} does not exist")
    files = [
        file for file in sorted(path.rglob("*")) if file.is_file() and _is_request(file.relative_to(path))
    ]
    if not files:
        raise SettingsError(f"the folder {path} holds no request files")
    return files


def _is_request(file: Path) -> bool:
    hidden = any(part.startswith((".", "__")) for part in file.parts)
    return not hidden and file.suffix.lower() not in _NOT_REQUESTS


def _of_file(path: Path, headers: tuple[tuple[str, str], ...]) -> TrialRequest:
    guessed = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
    return TrialRequest(str(path), path.read_bytes(), guessed or "application/octet-stream", headers=headers)
