"""A worker without a server: loads the script and answers the requests that come on standard input.

One JSON object a line each way. In: first the configuration, then requests. Out: first `loaded` or `failed`, then
one `called` for each request. What the script itself prints goes to standard error.
"""

from __future__ import annotations

import base64
import contextlib
import faulthandler
import json
import logging
import os
import platform
import sys
from time import perf_counter
from typing import IO, Any, Dict, List, Optional

from inference_server.scoring import debugger, errors, logs, memory, redaction
from inference_server.scoring.calls import Call, Failure, call
from inference_server.scoring.config import FOR_EVER, ScoringConfig
from inference_server.scoring.limit import ScoringLimit
from inference_server.scoring.logconfig import LoggingConfigError
from inference_server.scoring.main import FAILED_EXIT
from inference_server.scoring.parent import die_with_parent
from inference_server.scoring.request import Request
from inference_server.scoring.script import Script, load

# What a request has beside its headers: HTTP version, scheme, server, client; then its id.
_FACTS = ("HTTP/1.1", "http", "127.0.0.1:5001", "127.0.0.1:50000", "trial")


class _NeverWrites:
    writing = False


def main(argv: List[str]) -> int:
    """Serve standard input until it ends; returns the exit code.

    `--verbose`: the server's own log lines are shown. `--break HOST PORT`: the script is loaded once an editor has
    attached there, after a `listens`; run() is held at its first line.
    """
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # standard error may be closed
        faulthandler.enable()
    questions, answers = _own_streams()
    die_with_parent(os.getppid(), questions.fileno())
    redaction.start()
    config = ScoringConfig.from_json(questions.readline())
    began = perf_counter()
    try:
        _set_up_logs(config, "--verbose" in argv)
        holds = "--break" in argv
        if holds:
            host, port = argv[argv.index("--break") + 1 :][:2]
            _say(answers, event="listens", port=debugger.listen(host, int(port), "--break"))
            debugger.wait(FOR_EVER)
        script = load(config)
        script.init()
    except errors.UserScriptError as error:
        caused = error.__cause__ is not None and not error.missing
        failure = Failure.of(error) if caused else Failure(error.summary, None, "")
        _say(answers, event="failed", summary=error.summary, **_failure_facts(failure))
        return FAILED_EXIT
    except (LoggingConfigError, ValueError) as error:
        _say(answers, event="failed", summary=str(error), **_failure_facts(Failure(str(error), None, "")))
        return FAILED_EXIT
    _say(
        answers,
        event="loaded",
        mode=script.mode,
        arguments=script.parameters.names,
        sample=_sample(script),
        load_ms=(perf_counter() - began) * 1000,
        memory=memory.resident_bytes(),
        python=platform.python_version(),
    )
    limit = ScoringLimit(config.scoring_timeout_ms, _NeverWrites())
    for line in questions:
        asked = json.loads(line)
        if holds:
            _hold(script, asked)
        _say(answers, event="called", **_one(script, asked, limit, config))
        limit.rest()
    return 0


def _one(script: Script, asked: Dict[str, Any], limit: ScoringLimit, config: ScoringConfig) -> Dict[str, Any]:
    """What came of one request, and how much memory it took."""
    forgotten = memory.forget_peak()
    before = memory.resident_bytes()
    done = call(script, request_of(asked), limit.run, config.scoring_timeout_ms)
    sys.stdout.flush()
    return {
        **facts_of(done),
        "memory": memory.resident_bytes() - before,
        "peak": memory.peak_bytes() - before if forgotten else None,
    }


def _hold(script: Script, asked: Dict[str, Any]) -> None:
    """Have the editor stop in run(), and where the request was recorded to fail: `stops`, pairs of file and line."""
    function = getattr(script.module, "run", None) or script.module.run_batch
    if not debugger.stop_in(function, [(file, line) for file, line in asked.get("stops", ())]):
        debugger.hold()


def request_of(asked: Dict[str, Any]) -> Request:
    """A request from its facts: method, target, headers (pairs, names in lower case), body (base64)."""
    lines = [asked["target"], *_FACTS, *(f"{name}: {value}" for name, value in asked["headers"])]
    query = asked["target"].partition("?")[2].encode("latin-1")
    meta = "\n".join(lines).encode("latin-1")
    return Request(asked["method"], query, base64.b64decode(asked["body"]), meta)


def facts_of(done: Call) -> Dict[str, Any]:
    """A call as JSON has it."""
    return {
        "status": done.status,
        "content_type": done.content_type,
        "headers": list(done.headers),
        "body": base64.b64encode(done.body).decode(),
        "streamed": done.streamed,
        "run_ms": done.run_ms,
        "failure": None if done.failure is None else _failure_facts(done.failure),
    }


def _failure_facts(failure: Failure) -> Dict[str, Any]:
    place = None if failure.place is None else failure.place._asdict()
    return {"error": failure.error, "place": place, "traceback": failure.traceback}


def _sample(script: Script) -> Optional[Any]:
    """The body that @input_schema's samples make."""
    document = script.swaggers.get("3") or {}
    schemas = document.get("components", {}).get("schemas", {})
    return schemas.get("ServiceInput", {}).get("example") if script.mode == "schema" else None


def _own_streams() -> Any:
    """Standard input and output, taken away from the script: it reads nothing, and prints to standard error."""
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)
    return questions, answers


def _set_up_logs(config: ScoringConfig, verbose: bool) -> None:
    """The script's own log as a worker shows it. Ours is left out: the caller tells what went wrong."""
    logs.setup(config)
    if not verbose:
        logging.getLogger(logs.SERVER).setLevel(logging.CRITICAL + 1)


def _say(answers: IO[bytes], **facts: Any) -> None:
    answers.write(redaction.redacted(json.dumps(facts)).encode() + b"\n")
    answers.flush()
