"""Runs the requests of a mismatch file again, each alone and all together, and says where the answers differ.

Runs in a process of its own in the model's environment, as a worker does; what it found goes into a file, since
the script may print.
"""

from __future__ import annotations

import json
import platform
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from inference_server.scoring import errors
from inference_server.scoring.answer import JSON, Answer
from inference_server.scoring.batching import repro
from inference_server.scoring.batching.compare import difference
from inference_server.scoring.batching.merger import SINGLE, Merger, choose
from inference_server.scoring.batching.payload import Payload
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.request import Request
from inference_server.scoring.results import answer as answer_of
from inference_server.scoring.script import Script, load

MOST_FIELDS = 20  # of one answer that are named; the others are counted
MOST_DEPTH = 50

Fields = List[Tuple[str, Any, Any]]


class Called(NamedTuple):
    """One way of asking: its answer, or what it raised."""

    answer: Optional[Answer]
    error: str = ""


def main(argv: Sequence[str]) -> int:
    """`argv`: a mismatch file, the worker's configuration as JSON, and where the findings go. Returns 0."""
    source, told, target = argv
    requests = [_request(sent) for sent in repro.read(source)["requests"]]
    config = ScoringConfig.from_json(told.encode())
    found: Dict[str, Any] = {"python": platform.python_version()}
    try:
        script = load(config)
        script.init()
        merger = choose(script, config)
    except errors.UserScriptError as error:
        found["failed"] = f"{error.summary}\n{error.detail}".strip()
    else:
        found["digest"] = repro.digest(script.file)
        found["way"], found["why"] = merger.way, merger.why
        if merger.way != SINGLE:
            found.update(compared(script, merger, requests))
        found["libraries"] = repro.versions()
    with open(target, "w", encoding="utf-8") as file:
        json.dump(found, file)
    return 0


def compared(script: Script, merger: Merger, requests: Sequence[Request]) -> Dict[str, Any]:
    """Every request alone, all of them together, every one alone again.

    A single request is put together with itself. `apart`: why they share no call now; `together`: what the common
    call raised; both "" when there is nothing to say.
    """
    company = list(requests) if len(requests) > 1 else [requests[0], requests[0]]
    before = [_alone(script, request) for request in requests]
    merged: List[Answer] = []
    rows, apart, failed = 0, "", ""
    try:
        payloads = _payloads(merger, company)
        rows = sum(payload.rows for payload in payloads)
        result = merger.run(**merger.arguments(payloads))
        merged = [answer_of(part) for part in merger.split(result, payloads)]
    except _Apart as error:
        apart = str(error)
    except BaseException as error:  # also SystemExit: whatever run() raises is what is to be shown
        failed = _said(error)
    after = [_alone(script, request) for request in requests]
    return {
        "rows": rows,
        "apart": apart,
        "together": failed,
        "requests": [
            _judged(first, again, merged[at] if merged else None)
            for at, (first, again) in enumerate(zip(before, after))
        ],
    }


def _judged(first: Called, again: Called, merged: Optional[Answer]) -> Dict[str, Any]:
    """What became of one request. `unsteady`: how its two single calls differ."""
    facts: Dict[str, Any] = {"error": first.error, "unsteady": "", "differs": "", "fields": [], "more": 0}
    if first.error != again.error:
        facts["unsteady"] = (
            f"{first.error or 'answered'} at first, {again.error or 'answered'} when asked again"
        )
    elif first.answer is not None and again.answer is not None:
        facts["unsteady"] = difference(first.answer, again.answer)
    if merged is None:
        return facts
    if first.answer is None:
        facts["differs"] = "fails alone, but not together with others"
        return facts
    facts["differs"] = difference(first.answer, merged)
    if facts["differs"]:
        found = fields(first.answer, merged)
        facts["fields"], facts["more"] = found[:MOST_FIELDS], max(0, len(found) - MOST_FIELDS)
    return facts


def _alone(script: Script, request: Request) -> Called:
    try:
        return Called(answer_of(script.run(**script.arguments(request))))
    except errors.BadInput as error:
        return Called(error.answer)
    except BaseException as error:  # also SystemExit: whatever run() raises is what is to be shown
        return Called(None, _said(error))


class _Apart(Exception):
    """The requests do not share a call."""


def _payloads(merger: Merger, requests: Sequence[Request]) -> List[Payload]:
    """Raises _Apart."""
    payloads: List[Payload] = []
    for request in requests:
        try:
            payload = merger.payload(request)
        except errors.BadInput:
            payload = None
        if payload is None:
            raise _Apart("not all of them have rows that can be joined")
        payloads.append(payload)
    if len({payload.key for payload in payloads}) > 1:
        raise _Apart("their rows are not of one shape, or other inputs differ")
    return payloads


def fields(alone: Answer, together: Answer) -> Fields:
    """The values that differ, as (where in the answer, alone, together); a whole answer where it is no JSON."""
    try:
        return _fields(json.loads(_bytes(alone)), json.loads(_bytes(together)), "", 0)
    except ValueError:
        return [("body", _shown(_bytes(alone)), _shown(_bytes(together)))]


def _fields(alone: Any, together: Any, path: str, depth: int) -> Fields:
    if isinstance(alone, str) and isinstance(together, str) and alone[:1] in ("[", "{"):
        try:  # a result that the script has encoded itself
            return _fields(json.loads(alone), json.loads(together), path, depth + 1)
        except ValueError:
            pass
    if depth < MOST_DEPTH and isinstance(alone, dict) and isinstance(together, dict):
        names = [*alone, *(name for name in together if name not in alone)]
        missing = "(nothing)"
        pairs = [(f"{path}.{name}", alone.get(name, missing), together.get(name, missing)) for name in names]
    elif depth < MOST_DEPTH and _same_length(alone, together):
        pairs = [(f"{path}[{at}]", one, other) for at, (one, other) in enumerate(zip(alone, together))]
    else:
        differ = difference(_leaf(alone), _leaf(together))
        return [(path.lstrip(".") or "the whole answer", alone, together)] if differ else []
    return [found for where, one, other in pairs for found in _fields(one, other, where, depth + 1)]


def _same_length(alone: Any, together: Any) -> bool:
    return isinstance(alone, list) and isinstance(together, list) and len(alone) == len(together)


def _leaf(value: Any) -> Answer:
    return Answer(200, JSON, json.dumps(value).encode())


def _bytes(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b""


def _shown(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _said(error: BaseException) -> str:
    return errors.describe_failure(error)[0]


def _request(sent: repro.Sent) -> Request:
    return Request(sent.method, sent.query, sent.body, sent.meta)
