"""From an answered request to the document that is kept of it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from inference_server import __version__
from inference_server.messages import Answer, ScoringRequest
from inference_server.recording.document import FAILED, GOOD, SUFFIX, Body, Headers, Recorded
from inference_server.recording.redaction import Redaction, Removed, Unreadable
from inference_server.scoring.batching.repro import digest
from inference_server.scoring.redaction import redacted_bytes

_ID_SHOWN = 36  # characters of an id in a file's name
STREAMED = "it was streamed"


class Taken(NamedTuple):
    """What the front hands over of an answered request: nothing is read of it before its turn comes."""

    failed: bool
    request: ScoringRequest
    answer: Answer
    status: int
    seconds: float  # from its first byte to the end of its answer
    phases: Mapping[str, float]  # seconds
    batch: Mapping[str, Any] | None
    when: float  # of the answer, seconds since the epoch
    failure: Mapping[str, Any] | None  # what the worker told: "error", one line, and "place"


class Maker:
    """`body_limit` in bytes; `script` and `model_dir` are absolute paths."""

    def __init__(self, redaction: Redaction, body_limit: int, script: str, model_dir: str) -> None:
        self._redaction = redaction
        self._body_limit = body_limit
        self._script = script
        self._model_dir = model_dir
        self._digest = ""
        self._digest_of: tuple[int, int] | None = None  # the script's file when that was read

    def made(self, taken: Taken) -> tuple[str, bytes]:
        """The file's name, and what it holds."""
        request, answer = taken.request, taken.answer
        head, redaction, removed = request.head, self._redaction, Removed()
        headers = redaction.headers([(_text(name), _text(value)) for name, value in head.headers], removed)
        body = self._body(request.body, removed, "body")
        content_type, answer_headers = _answer_headers(answer)
        answered = (
            Body(b"", 0, STREAMED)
            if answer.stream is not None
            else self._body([answer.body], removed, "answer")
        )
        failure = taken.failure or {}
        place = failure.get("place")
        if place:
            place = {**place, "source": removed.scrubbed(str(place.get("source", "")))}
        when = datetime.fromtimestamp(taken.when, timezone.utc)
        recorded = Recorded(
            kind=FAILED if taken.failed else GOOD,
            recorded=when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            id=request.ids.request_id,
            client_id=request.ids.client_request_id,
            method=head.method,
            target=redaction.target(_text(head.target), removed),
            version=_text(head.version),
            scheme=request.peer.scheme,
            headers=tuple(headers),
            body=body,
            status=taken.status,
            content_type=content_type,
            answer_headers=tuple(redaction.headers(answer_headers, removed)),
            answer=answered,
            error=removed.scrubbed(str(failure.get("error", ""))),
            place=place,
            milliseconds=_ms(taken.seconds),
            phases_ms={name: _ms(value) for name, value in taken.phases.items()},
            batch=taken.batch,
            script=self._script,
            digest=self._script_digest(),
            model_dir=self._model_dir,
            server=__version__,
            redacted=tuple(removed.names),
            redact=redaction.fields.words,
        )
        name = f"{recorded.kind}-{when:%Y%m%dT%H%M%S.%f}Z-{taken.status}-{_named(recorded.id)}{SUFFIX}"
        return name, redacted_bytes(recorded.encode())  # nor is a secret that the script has given away

    def _body(self, pieces: Sequence[bytes], removed: Removed, name: str) -> Body:
        data = b"".join(pieces)
        size, limit = len(data), self._body_limit
        try:
            if size <= limit:
                return Body(self._redaction.body(data, removed, name), size)
            if self._redaction.searches_bodies:
                return Body(
                    b"", size, f"it is larger than {limit:,} bytes, and fields of it are to be redacted"
                )
            return Body(data[:limit], size, f"these are its first {limit:,} bytes")
        except Unreadable as error:
            return Body(b"", size, str(error))

    def _script_digest(self) -> str:
        """Of the script as it is now; read again when its file has changed."""
        try:
            found = os.stat(self._script)
        except OSError:
            return self._digest
        if self._digest_of != (found.st_mtime_ns, found.st_size):
            self._digest = digest(self._script)
            self._digest_of = (found.st_mtime_ns, found.st_size)
        return self._digest


def _answer_headers(answer: Answer) -> tuple[str, Headers]:
    """Content type and the script's own headers."""
    pairs = []
    content_type = _text(answer.content_type)
    for line in answer.headers.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        if name.lower() == b"content-type":
            content_type = _text(value.strip())
        else:
            pairs.append((_text(name), _text(value.strip())))
    return content_type, tuple(pairs)


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 4)


def _named(id: str) -> str:
    """An id that callers may have chosen, as a part of a file's name."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", id) and len(id) <= _ID_SHOWN:
        return id
    return hashlib.sha256(id.encode("utf-8", "replace")).hexdigest()[:16]
