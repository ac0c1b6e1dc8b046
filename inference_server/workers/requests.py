"""A request as the record that crosses to a worker; only what the script asks for travels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inference_server.messages import ScoringRequest
from inference_server.scoring import wire

PACK = wire.TO_WORKER.pack
BODY_HEADERS = frozenset({b"content-type", b"content-encoding"})


@dataclass(frozen=True)
class ScriptFacts:
    """What a worker said of its script when it became ready."""

    pid: int = 0
    mode: str = "string"
    needs_headers: bool = False
    needs_content_type: bool = False
    accepts_options: bool = False
    accepts_head: bool = False
    swaggers: dict[str, Any] = field(default_factory=dict)
    batching: dict[str, Any] = field(default_factory=dict)  # "way", "why", "proof"; of a worker that batches
    digest: str = ""  # of the script's source, the modules it imports and the model
    files: tuple[str, ...] = ()  # the user's own that were loaded

    @classmethod
    def from_ready(cls, facts: dict[str, Any]) -> ScriptFacts:
        known = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
        return cls(**{**known, "files": tuple(facts.get("files", ()))})


def encode(request: ScoringRequest, facts: ScriptFacts, pieces: list[bytes]) -> int:
    """Append the record's pieces; returns their size in bytes. The body is not copied."""
    head = request.head
    if facts.needs_headers:
        meta = _meta(request, head.headers)
    elif facts.needs_content_type or head.get(b"content-encoding") is not None:
        meta = _meta(request, [line for line in head.headers if line[0] in BODY_HEADERS])
    else:
        meta = b""
    query = b"" if head.method == "POST" and not facts.needs_headers else head.query
    record = PACK(
        wire.SCORE,
        wire.METHOD_CODES[head.method],
        request.seq,
        len(query),
        len(meta),
        request.body_bytes,
    )
    pieces.append(record + query + meta if meta or query else record)
    pieces.extend(request.body)
    return len(record) + len(query) + len(meta) + request.body_bytes


def _meta(request: ScoringRequest, headers: Any) -> bytes:
    head = request.head
    peer = request.peer
    facts = f"{peer.scheme}\n{peer.server}\n{peer.client}\n{request.ids.request_id}".encode(
        "latin-1", "replace"
    )
    lines = [head.target, head.version, facts]
    lines.extend([name + b": " + value for name, value in headers])
    return b"\n".join(lines)
