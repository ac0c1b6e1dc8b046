from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inference_server.http import asgi_score
from inference_server.http.head import from_scope
from inference_server.server import Engine
from inference_server.settings import load

LARGE = (b"content-length", b"1000000")


async def answered(*headers: tuple[bytes, bytes]) -> tuple[list[dict[str, Any]], int]:
    """What an endpoint where nobody serves sends, and how often it asked for the request's body."""
    engine = Engine(load({"script.entry_script": "score.py"}))
    engine.endpoint.fail("nobody serves")
    scope = {"type": "http", "method": "POST", "path": "/score", "headers": list(headers)}
    sent: list[dict[str, Any]] = []
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asgi_score.score(engine.site, from_scope(scope), scope, receive, send)
    return sent, asked


@pytest.mark.parametrize(
    ("header", "reads"),
    [(LARGE, False), ((b"content-length", b"1"), True), ((b"content-length", b"9" * 30), True)],
)
def test_a_large_body_is_not_asked_for_when_the_request_is_refused(
    header: tuple[bytes, bytes], reads: bool
) -> None:
    sent, asked = asyncio.run(answered(header))
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
    assert bool(asked) == reads


def test_it_says_where_the_time_went_to_who_asks() -> None:
    sent, _ = asyncio.run(answered((b"server-timing", b"?")))
    headers = dict(sent[0]["headers"])
    assert headers[b"server-timing"].startswith(b"parse;dur=")
    sent, _ = asyncio.run(answered(LARGE))
    assert b"server-timing" not in dict(sent[0]["headers"])
