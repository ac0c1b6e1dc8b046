"""A recorded request: one JSON document in a file of its own."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT = "azmlinfsrv request 1"
FAILED, GOOD = "failed", "good"
SUFFIX = ".json"

Headers = tuple[tuple[str, str], ...]


class NotRecorded(ValueError):
    """A file that is no recorded request; the text says why, without its name."""


@dataclass(frozen=True)
class Body:
    """The body of a request or of an answer; `why` is set where it is not whole."""

    data: bytes = b""
    size: int = 0  # bytes as it was sent
    why: str = ""

    def facts(self) -> dict[str, Any]:
        """As the file has it: text where it is text, else base64."""
        found: dict[str, Any] = {"size": self.size}
        if self.why:
            found["not_whole"] = self.why
        if self.why and not self.data:
            return found
        try:
            found["text"] = self.data.decode()
        except UnicodeDecodeError:
            found["base64"] = base64.b64encode(self.data).decode()
        return found

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Body:
        data = base64.b64decode(facts["base64"]) if "base64" in facts else str(facts.get("text", "")).encode()
        return cls(data, int(facts.get("size", len(data))), str(facts.get("not_whole", "")))


@dataclass(frozen=True)
class Recorded:
    """One request as it was, and what became of it."""

    kind: str  # FAILED or GOOD
    recorded: str  # when it was answered, UTC, as 2026-01-31T09:15:02.417000Z
    id: str
    method: str
    target: str  # path and query
    headers: Headers
    body: Body
    status: int
    content_type: str
    answer_headers: Headers  # the script's own
    answer: Body
    client_id: str = ""
    version: str = "HTTP/1.1"
    scheme: str = "http"
    error: str = ""  # `KeyError: 'plum'`, one line; "": none, or not known
    place: Mapping[str, Any] | None = None  # where it was raised: file, line, function, source
    milliseconds: float = 0.0  # from its first byte to the end of its answer
    phases_ms: Mapping[str, float] = field(default_factory=dict)
    batch: Mapping[str, Any] | None = None  # the run() call it shared: requests, rows, reason
    script: str = ""
    digest: str = ""  # of the script's source
    model_dir: str = ""
    server: str = ""  # its version
    redacted: tuple[str, ...] = ()  # headers, ?parameters, "body" and "answer", where something was taken out
    redact: tuple[str, ...] = ()  # the fields that were asked to be taken out
    file: str = ""  # where it was read from

    def encode(self) -> bytes:
        """The document."""
        facts = {
            "format": FORMAT,
            "kind": self.kind,
            "recorded": self.recorded,
            "id": self.id,
            "client_id": self.client_id,
            "request": {
                "method": self.method,
                "target": self.target,
                "version": self.version,
                "scheme": self.scheme,
                "headers": [f"{name}: {value}" for name, value in self.headers],
                "body": self.body.facts(),
            },
            "answer": {
                "status": self.status,
                "content_type": self.content_type,
                "headers": [f"{name}: {value}" for name, value in self.answer_headers],
                "body": self.answer.facts(),
            },
            "error": {"error": self.error, "place": self.place} if self.error or self.place else None,
            "milliseconds": self.milliseconds,
            "phases_ms": self.phases_ms,
            "batch": self.batch,
            "script": {"file": self.script, "digest": self.digest, "model_dir": self.model_dir},
            "server": self.server,
            "redacted": self.redacted,
            "redact": self.redact,
        }
        return json.dumps(facts, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"

    @property
    def failed(self) -> bool:
        return self.kind == FAILED


def decode(data: bytes, file: str) -> Recorded:
    """The request in a document that was read from `file`. Raises NotRecorded."""
    try:
        facts = json.loads(data)
    except ValueError as error:
        raise NotRecorded(str(error)) from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise NotRecorded(f"its format is not {FORMAT!r}")
    try:
        return _decoded(facts, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotRecorded(f"it is damaged ({error!r})") from None


def read(file: str) -> Recorded:
    """The request in `file`. Raises NotRecorded, and OSError."""
    with open(file, "rb") as opened:
        return decode(opened.read(), file)


def read_folder(folder: str) -> tuple[list[Recorded], list[str]]:
    """The requests in `folder`: those that failed first, each kind by its time. Other files are passed over.

    Also, one line each: files that have the name of a recorded request and cannot be read. Raises OSError.
    """
    found, unreadable = [], []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(SUFFIX) or name.startswith("."):
            continue
        file = os.path.join(folder, name)
        try:
            found.append(read(file))
        except FileNotFoundError:  # it has made room for a newer one
            continue
        except NotRecorded as error:
            if name.startswith((f"{FAILED}-", f"{GOOD}-")):
                unreadable.append(f"{file}: {error}")
        except OSError as error:
            unreadable.append(f"{file}: {error.strerror}")
    return sorted(found, key=lambda one: (not one.failed, one.recorded)), unreadable


def _decoded(facts: Mapping[str, Any], file: str) -> Recorded:
    request, answer, script = facts["request"], facts["answer"], facts["script"]
    error = facts["error"] or {}
    return Recorded(
        kind=str(facts["kind"]),
        recorded=str(facts["recorded"]),
        id=str(facts["id"]),
        client_id=str(facts["client_id"]),
        method=str(request["method"]),
        target=str(request["target"]),
        version=str(request["version"]),
        scheme=str(request["scheme"]),
        headers=_pairs(request["headers"]),
        body=Body.of(request["body"]),
        status=int(answer["status"]),
        content_type=str(answer["content_type"]),
        answer_headers=_pairs(answer["headers"]),
        answer=Body.of(answer["body"]),
        error=str(error.get("error") or ""),
        place=error.get("place"),
        milliseconds=float(facts["milliseconds"]),
        phases_ms=facts["phases_ms"],
        batch=facts["batch"],
        script=str(script["file"]),
        digest=str(script["digest"]),
        model_dir=str(script["model_dir"]),
        server=str(facts["server"]),
        redacted=tuple(facts["redacted"]),
        redact=tuple(facts["redact"]),
        file=file,
    )


def _pairs(lines: Any) -> Headers:
    parts = [str(line).partition(":") for line in lines]
    return tuple((name, value.strip()) for name, _, value in parts)
