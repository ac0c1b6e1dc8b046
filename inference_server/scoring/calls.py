"""One call of a script from a request to its whole answer, for whoever has no channel: the trial and the tests."""

from __future__ import annotations

import traceback
from time import perf_counter
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

from inference_server.scoring import errors
from inference_server.scoring.answer import Answer
from inference_server.scoring.limit import ScoringTimeout
from inference_server.scoring.places import Place, from_user_code
from inference_server.scoring.request import Request
from inference_server.scoring.results import answer as answer_of
from inference_server.scoring.script import Script

Run = Callable[[Callable[..., Any], Dict[str, Any]], Any]  # calls run() with its arguments


class Failure(NamedTuple):
    """What went wrong in a call."""

    error: str  # `ValueError: boom`, one line
    place: Optional[Place]  # in the user's code; None: it never came so far
    traceback: str  # from the user's first frame on; "": it would show our own code only

    @classmethod
    def of(cls, exc: BaseException) -> Failure:
        """The failure that `exc` is; what a UserScriptError wraps is seen through to."""
        cause = exc.__cause__ if isinstance(exc, errors.UserScriptError) and exc.__cause__ else exc
        frames = from_user_code(cause.__traceback__)
        lines = traceback.format_exception(type(cause), cause, frames) if frames else []
        return cls(
            errors.headline(cause) + errors.hint(cause), errors.place(cause), "".join(lines).rstrip("\n")
        )


class Call(NamedTuple):
    """One answered request. Times in milliseconds."""

    status: int
    content_type: str
    headers: Sequence[Tuple[str, str]]
    body: bytes  # of a stream, all that came before its end or its break
    failed: Optional[bool]  # x-ms-run-function-failed; None: not sent
    streamed: bool
    run_ms: Optional[float]  # of run(), and of a stream's items; None: run() was not called
    failure: Optional[Failure]
    exception: Optional[BaseException]  # what run() raised


def call(script: Script, request: Request, run: Run, timeout_ms: int = 0) -> Call:
    """Have `script` answer `request`, as a worker does. Raises nothing that the script raises.

    `run` calls run(), under a time limit where there is one; `timeout_ms` is that limit, for the answer's text.
    """
    try:
        arguments = script.arguments(request)
    except errors.BadInput as refused:
        text = str(refused)
        return _call(refused.answer, None, Failure(text, None, ""))
    except BaseException as error:
        return _call(errors.internal_error(error), None, Failure.of(error), error)
    began = perf_counter()
    try:
        answer = answer_of(run(script.run, arguments))
    except errors.Unserializable as error:
        return _call(errors.internal_error(error), _since(began), Failure(str(error), None, ""), error)
    except (ScoringTimeout, TimeoutError) as error:
        return _call(errors.timed_out(timeout_ms), _since(began), Failure.of(error), error)
    except BaseException as error:
        return _call(errors.script_failed(error), _since(began), Failure.of(error), error)
    return _drained(answer, began)


def plainly(function: Callable[..., Any], arguments: Dict[str, Any]) -> Any:
    """Call run() with no limit."""
    return function(**arguments)


def _since(began: float) -> float:
    return (perf_counter() - began) * 1000


def _call(
    answer: Answer,
    run_ms: Optional[float],
    failure: Optional[Failure] = None,
    exception: Optional[BaseException] = None,
    body: Optional[bytes] = None,
) -> Call:
    streamed = body is not None
    if body is None:
        assert isinstance(answer.body, bytes)
        body = answer.body
    return Call(
        answer.status,
        answer.content_type,
        answer.headers,
        body,
        answer.failed,
        streamed,
        run_ms,
        failure,
        exception,
    )


def _drained(answer: Answer, began: float) -> Call:
    """The call whose answer may be a stream: it is read to its end."""
    if isinstance(answer.body, bytes):
        return _call(answer, _since(began))
    chunks = []
    broke = None  # type: Optional[BaseException]
    try:
        for chunk in answer.body:
            chunks.append(chunk)
    except BaseException as error:
        broke = error
    close = getattr(answer.body, "close", None)
    if close is not None:
        close()
    failure = None if broke is None else Failure.of(broke)
    return _call(answer, _since(began), failure, broke, b"".join(chunks))
