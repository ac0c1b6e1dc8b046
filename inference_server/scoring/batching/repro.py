"""A mismatch kept in a file: what was sent, what came alone and what came in company, to be run again."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from inference_server.scoring.answer import Answer

FORMAT = "azmlinfsrv mismatch 1"
MOST_BYTES = 4 * 1024 * 1024  # of bodies in one file; what is too large is left out, and counted
MOST_FILES = 100  # in the folder; with more there, no further one is written
LIBRARIES = ("numpy", "pandas", "torch", "onnxruntime", "sklearn", "inference_schema", "orjson")


class Sent(NamedTuple):
    """One request of a merged call, as the worker got it."""

    method: str
    query: bytes
    meta: bytes
    body: bytes


class Mismatch(NamedTuple):
    """What two ways of calling run() disagree on."""

    why: str
    requests: Sequence[Sent]  # of the merged call in its order; one when run() disagrees with itself
    at: int  # which of them has the answers that differ
    alone: Optional[Answer]
    merged: Optional[Answer]  # None: the call raised, see `why`


def digest(path: str, *more: str) -> str:
    """The SHA-256 of a script's source, and of the files that belong to it; "" when one cannot be read."""
    found = hashlib.sha256()
    try:
        for name in dict.fromkeys((path, *more)):
            with open(name, "rb") as file:
                found.update(file.read())
    except OSError:
        return ""
    return found.hexdigest()


def save(folder: str, script: str, config: Dict[str, Any], mismatch: Mismatch) -> str:
    """Write `mismatch` into `folder` ("": one in the system's temporary folder), readable for its owner only, since
    it holds what callers sent. Returns the path; "" when it could not be written or the folder is full."""
    try:
        folder = folder or os.path.join(tempfile.gettempdir(), f"azmlinfsrv-mismatches-{_user()}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if len(os.listdir(folder)) >= MOST_FILES:
            return ""
        name = "mismatch-{}-{}.json".format(time.strftime("%Y%m%d-%H%M%S"), os.getpid())
        path = os.path.join(os.path.abspath(folder), name)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(_facts(script, config, mismatch), file, indent=1)
    except OSError:
        return ""
    return path


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _facts(script: str, config: Dict[str, Any], mismatch: Mismatch) -> Dict[str, Any]:
    requests: List[Dict[str, str]] = []
    size = 0
    # the one that differs first: it is kept whatever its neighbours' size
    order = sorted(range(len(mismatch.requests)), key=lambda at: at != mismatch.at)
    kept = []
    for at in order:
        size += len(mismatch.requests[at].body)
        if size <= MOST_BYTES or at == mismatch.at:
            kept.append(at)
    for at in sorted(kept):
        sent = mismatch.requests[at]
        requests.append(
            {
                "method": sent.method,
                "query": _text(sent.query),
                "meta": _text(sent.meta),
                "body": _text(sent.body),
            }
        )
    return {
        "format": FORMAT,
        "why": mismatch.why,
        "script": script,
        "digest": digest(script),
        "config": config,
        "requests": requests,
        "left_out": len(mismatch.requests) - len(kept),
        "index": sorted(kept).index(mismatch.at),
        "alone": _answer(mismatch.alone),
        "merged": _answer(mismatch.merged),
        "python": platform.python_version(),
        "libraries": versions(),
    }


def _answer(answer: Optional[Answer]) -> Optional[Dict[str, Any]]:
    if answer is None or not isinstance(answer.body, bytes):
        return None
    return {
        "status": answer.status,
        "content_type": answer.content_type,
        "headers": list(answer.headers),
        "body": _text(answer.body),
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def versions() -> Dict[str, str]:
    """Of the libraries that answers depend on, as far as the script has imported them."""
    found = {name: getattr(sys.modules.get(name), "__version__", "") for name in LIBRARIES}
    return {name: str(version) for name, version in found.items() if version}


def read(path: str) -> Dict[str, Any]:
    """The facts of a file written by `save`, bodies as bytes. Raises ValueError with one line for any other file,
    OSError for one that cannot be read."""
    with open(path, "rb") as file:
        try:
            facts = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is not a mismatch file: {error}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"{path} is not a mismatch file of this version: its format is not {FORMAT!r}")
    facts["requests"] = [
        Sent(
            str(sent["method"]),
            base64.b64decode(sent["query"]),
            base64.b64decode(sent["meta"]),
            base64.b64decode(sent["body"]),
        )
        for sent in facts["requests"]
    ]
    for side in ("alone", "merged"):
        if facts[side] is not None:
            facts[side] = Answer(
                facts[side]["status"],
                facts[side]["content_type"],
                base64.b64decode(facts[side]["body"]),
                headers=[(str(name), str(value)) for name, value in facts[side]["headers"]],
            )
    return facts
