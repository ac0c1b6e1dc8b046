"""What run() returned, turned into the answer that is sent."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from inference_server.scoring import coroutines
from inference_server.scoring.answer import BYTES, JSON, Answer
from inference_server.scoring.encode import to_json
from inference_server.scoring.errors import SCRIPT_RAISED, Unserializable, UserScriptError
from inference_server.scoring.responses import from_response, is_response
from inference_server.scoring.streams import Stream

__all__ = ["Answer", "answer"]

logger = logging.getLogger("azmlinfsrv")

# Types that go straight to JSON. A subclass (numpy.float64 is one of float) takes the longer way to it.
_JSON_TYPES = frozenset({dict, list, str, int, float, bool, tuple})

_HINT = (
    "run() returned a str that already is JSON, so callers receive JSON inside a JSON string. "
    "Return the object itself, without json.dumps, to answer with plain JSON."
)
_hint_tries = 10  # strings still looked at for the hint; after it was given, or that many, none


def answer(result: Any) -> Answer:
    """The answer to a run() that returned `result`.

    Raises Unserializable for a value that has no form as an answer (the server's fault towards the caller),
    and UserScriptError, from its cause, where more code of the script had to run and failed: a generator's
    first item, a coroutine, a response object that cannot be sent.
    """
    kind = type(result)
    if kind in _JSON_TYPES:
        if kind is str and _hint_tries:
            _hint_at_json(result)
        try:
            return Answer(200, JSON, to_json(result).encode())
        except Exception as error:
            raise _unserializable(result, error) from error
    if result is None:
        return Answer(200, JSON, b"{}")
    return _other(result)


def _other(result: Any) -> Answer:
    """The answer for whatever is not a plain JSON value."""
    if isinstance(result, (bytes, bytearray, memoryview)):
        return Answer(200, BYTES, bytes(result))
    try:
        if is_response(result):
            logger.info("run() output is HTTP Response")
            return from_response(result)
        complete = started(result)
    except Exception as error:
        raise UserScriptError.of(SCRIPT_RAISED, error) from error
    if isinstance(complete, Stream):
        return Answer(200, complete.content_type, complete)
    if complete is not result:
        return answer(complete)
    try:
        return Answer(200, JSON, to_json(result).encode())
    except Exception as error:
        raise _unserializable(result, error) from error


def started(result: Any) -> Any:
    """What run() still has to do, done: a coroutine awaited, a generator's first item pulled. Any other value
    is given back as it is. Raises what the script raises on the way."""
    if isinstance(result, Awaitable):
        result = coroutines.wait(result)
    if isinstance(result, Stream):
        return result
    if isinstance(result, AsyncIterator):
        return Stream(coroutines.iterate(result))
    return Stream(result) if isinstance(result, Iterator) else result


def _unserializable(result: Any, error: BaseException) -> Unserializable:
    return Unserializable(
        f"run() returned a {type(result).__name__} that cannot be turned into an answer: {error}. "
        "Return what json.dumps takes, a numpy or pandas value, bytes, a generator or an AMLResponse."
    )


def _hint_at_json(text: str) -> None:
    """Say once that a script encodes its answer twice."""
    global _hint_tries
    if text[:1] not in ("{", "["):
        return
    _hint_tries -= 1
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return
    _hint_tries = 0
    logger.info(_HINT)
