"""What a worker does with a batch, as plain steps: for tests that need no worker."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from inference_server.scoring import errors
from inference_server.scoring.answer import Answer
from inference_server.scoring.batching.buckets import cut
from inference_server.scoring.batching.merger import Merger, NotSplittable, Payload, choose
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.request import Request
from inference_server.scoring.results import answer
from inference_server.scoring.script import Script
from tests.scoring.batching.corpus_list import FOLDER

JSON_META = b"\n".join(
    [b"/score", b"HTTP/1.1", b"http", b"h:1", b"c:2", b"id", b"content-type: application/json"]
)


def script_of(module: ModuleType, **config: Any) -> tuple[Script, Merger]:
    """`module` as a loaded script, and how it is merged; its init() was called."""
    # a folder of its own: whatever of this project is imported already is none of the script's
    settings = ScoringConfig(**{"max_batch_size": 8, "app_root": str(FOLDER), **config})
    script = Script(module, getattr(module, "__file__", "score.py"), settings)
    script.init()
    return script, choose(script, settings)


def module_of(**names: Any) -> ModuleType:
    """A script made of functions and values of a test."""
    module = ModuleType("score")
    vars(module).update({"init": lambda: None, **names})
    return module


def post(body: bytes | str, meta: bytes = b"") -> Request:
    return Request("POST", b"", body.encode() if isinstance(body, str) else body, meta)


def requests(script: Script, bodies: list[bytes]) -> list[Request]:
    return [
        post(body, JSON_META if script.mode == "schema" or script.needs_headers else b"") for body in bodies
    ]


def alone(script: Script, request: Request) -> Answer:
    try:
        return answer(script.run(**script.arguments(request)))
    except errors.BadInput as refused:
        return refused.answer
    except Exception as error:
        return errors.script_failed(error)


def together(script: Script, merger: Merger, asked: list[Request]) -> tuple[list[Answer], int]:
    """An answer for each request, most of them from merged calls; and how many came from these."""
    answers: dict[int, Answer] = {}
    waiting: list[tuple[int, Payload]] = []
    for index, request in enumerate(asked):
        payload = merger.payload(request)
        if payload is None:
            answers[index] = alone(script, request)
        else:
            waiting.append((index, payload))
    shared = 0
    for call in cut([payload for _, payload in waiting], merger.max_batch_size):
        members = [waiting[at] for at in call]
        found = _called(script, merger, members, asked)
        shared += sum(1 for index, _ in members if index in found[1])
        answers.update(found[0])
    return [answers[index] for index in range(len(asked))], shared


def _called(
    script: Script, merger: Merger, members: list[tuple[int, Payload]], asked: list[Request]
) -> tuple[dict[int, Answer], set[int]]:
    """The answers of one call, by halves where it fails, and the indices of those that were merged."""
    if len(members) == 1 and merger.way == "rows":
        index = members[0][0]
        merger.split(script.run(**script.arguments(asked[index])), [members[0][1]])
        return {index: alone(script, asked[index])}, set()
    payloads = [payload for _, payload in members]
    try:
        parts = merger.split(merger.run(**merger.arguments(payloads)), payloads)
        made = [
            errors.script_failed(part) if isinstance(part, BaseException) else answer(part) for part in parts
        ]
    except (NotSplittable, Exception):
        if len(members) == 1:
            return {members[0][0]: alone(script, asked[members[0][0]])}, set()
        half = len(members) // 2
        first, second = (_called(script, merger, part, asked) for part in (members[:half], members[half:]))
        return {**first[0], **second[0]}, first[1] | second[1]
    indices = [index for index, _ in members]
    return dict(zip(indices, made, strict=True)), set(indices) if len(indices) > 1 else set()
