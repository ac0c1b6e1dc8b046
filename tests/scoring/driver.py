"""A score.py in a process of its own, driven over its standard streams: one JSON line in, one out.

Runs in any interpreter with nothing but our scoring room importable, as a worker does; logs go to stderr.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import logging
import os
import sys


def main() -> None:
    root, config_json = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    spec = importlib.util.spec_from_file_location(
        "inference_server", os.path.join(root, "__init__.py"), submodule_search_locations=[root]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["inference_server"] = package
    spec.loader.exec_module(package)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname).1s %(name)s - %(message)s"
    )

    from inference_server.scoring import errors
    from inference_server.scoring.config import ScoringConfig
    from inference_server.scoring.script import load

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the script prints does not disturb the answers
    try:
        script = load(ScoringConfig.from_json(config_json.encode()))
        script.init()
    except errors.UserScriptError as error:
        print(json.dumps({"text": str(error), "summary": error.summary, "detail": error.detail}), file=out)
        return
    facts = (
        "mode",
        "file",
        "needs_headers",
        "needs_content_type",
        "accepts_options",
        "accepts_head",
        "swaggers",
    )
    print(json.dumps({name: getattr(script, name) for name in facts}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer_one(script, json.loads(line))), file=out, flush=True)


def answer_one(script, asked):
    """What a worker does with one request, and the answer as JSON."""
    from inference_server.scoring import errors
    from inference_server.scoring.request import Request
    from inference_server.scoring.results import answer

    meta = ""
    if asked["headers"] or script.needs_headers:
        facts = (asked["target"], "HTTP/1.1", "http", "127.0.0.1:5001", "10.0.0.9:4444", "the-id")
        meta = "\n".join([*facts, *(f"{name}: {value}" for name, value in asked["headers"])])
    query = asked["target"].partition("?")[2].encode("latin-1")
    body = base64.b64decode(asked["body"])
    broke = None
    try:
        arguments = script.arguments(
            Request(asked["method"], query, memoryview(body), meta.encode("latin-1"))
        )
        found = answer(script.run(**arguments))
    except errors.BadInput as error:
        found = error.answer
    except errors.Unserializable as error:
        broke, found = str(error), errors.internal_error(error)
    except BaseException as error:
        broke, found = errors.failure_log(error), errors.script_failed(error)
    chunks = [found.body]
    streamed = not isinstance(found.body, bytes)
    if streamed:
        chunks = []
        try:
            for chunk in found.body:
                chunks.append(chunk)
                if len(chunks) == asked["stop_after"]:
                    break
        except Exception as error:
            broke = repr(error)
        found.body.close()
    return {
        "status": found.status,
        "type": found.content_type,
        "failed": found.failed,
        "headers": list(found.headers),
        "chunks": [base64.b64encode(chunk).decode() for chunk in chunks],
        "streamed": streamed,
        "broke": broke,
    }


if __name__ == "__main__":
    main()
