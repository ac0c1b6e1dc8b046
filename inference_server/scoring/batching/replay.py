"""Runs a kept mismatch again: the request alone, twice, and in the company it had."""

from __future__ import annotations

import os
from typing import Callable, List, Optional, Sequence

from inference_server.scoring import errors
from inference_server.scoring.answer import Answer
from inference_server.scoring.batching import repro
from inference_server.scoring.batching.compare import difference
from inference_server.scoring.batching.merger import Merger, choose
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.request import Request
from inference_server.scoring.results import answer as answer_of
from inference_server.scoring.script import Script, load

SHOWN = 500  # characters of an answer


def replay(path: str, script: Optional[str] = None, say: Callable[[str], None] = print) -> bool:
    """Load the script of the mismatch file `path` into this process (or `script` in its place), call run() as it was
    called then, and `say` what came of it, line by line. Whether answers still differ.

    Raises ValueError for another file and OSError for one that cannot be read, errors.UserScriptError when the
    script cannot be loaded.
    """
    facts = repro.read(path)
    sent: List[repro.Sent] = facts["requests"]
    at = int(facts["index"])
    file = os.path.abspath(script or facts["script"])
    settings = {name: value for name, value in facts["config"].items() if name in ScoringConfig._fields}
    config = ScoringConfig(**settings)._replace(entry_script=file, threads=1)
    say(f"{path}: {facts['why']}")
    if repro.digest(file) != facts["digest"]:
        say(f"{file} has changed since then")
    loaded = load(config)
    loaded.init()
    first, second = _alone(loaded, sent[at]), _alone(loaded, sent[at])
    company = _in_company(choose(loaded, config), sent, at, say) if len(sent) > 1 else None
    for name, answer in (
        ("alone then", facts["alone"]),
        ("in company then", facts["merged"]),
        ("alone now", first),
        ("alone again", second),
        (f"among {len(sent)} requests now", company),
    ):
        if answer is not None:
            say(f"{name}: {_shown(answer)}")
    itself = difference(first, second)
    if itself:
        say(f"run() disagrees with itself: {itself}")
    others = difference(first, company) if company is not None else ""
    if others:
        say(f"run() answers differently in company: {others}")
    if not itself and not others:
        say("The answers are the same now")
    return bool(itself or others)


def _alone(script: Script, sent: repro.Sent) -> Answer:
    try:
        return answer_of(
            script.run(**script.arguments(Request(sent.method, sent.query, sent.body, sent.meta)))
        )
    except errors.BadInput as refused:
        return refused.answer
    except Exception as error:
        return errors.script_failed(error)


def _in_company(
    merger: Merger, sent: Sequence[repro.Sent], at: int, say: Callable[[str], None]
) -> Optional[Answer]:
    """The answer that request `at` gets from a merged call for all of `sent`; None when there is none."""
    try:
        payloads = [merger.payload(Request(one.method, one.query, one.body, one.meta)) for one in sent]
        known = [payload for payload in payloads if payload is not None]
        if len(known) < len(sent):
            say("The requests cannot be merged any more")
            return None
        return answer_of(merger.split(merger.run(**merger.arguments(known)), known)[at])
    except Exception as error:
        say(f"A merged call fails: {errors.describe_failure(error)[0]}")
        return None


def _shown(answer: Answer) -> str:
    if not isinstance(answer.body, bytes):
        return f"{answer.status}, a stream"
    text = answer.body.decode("utf-8", "replace")
    return f"{answer.status} {text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}"
