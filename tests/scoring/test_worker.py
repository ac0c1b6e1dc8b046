"""A real worker with telemetry on: what telemetry meets in the script's objects must not cost a request."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from inference_server.messages import Answer
from inference_server.scoring import records
from tests.workers.pools import pool_of

SCRIPT = """
    import json

    class Mute(Exception):
        def __str__(self):
            raise ValueError("no text")

    class Odd(bytes):
        def __repr__(self):
            raise ValueError("no text")
        def tolist(self):
            raise KeyError("no list")

    class Deep(bytes):
        def tolist(self):
            nested = []
            for _ in range(100_000):
                nested = [nested]
            return nested

    def init():
        pass

    def run(data):
        what = json.loads(data)
        if what == "mute":
            raise Mute
        return {"odd": Odd(b"odd"), "deep": Deep(b"deep"), "plain": 1}[what]
"""


def test_objects_that_cannot_be_told_cost_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, app_insights_enabled=True, mdc_storage_enabled=True) as running:
            answers: list[Answer] = []
            for value in ("mute", "odd", "deep", "plain"):
                answers.append(await asyncio.wait_for(running.submit(value), 20))
            assert [answer.status for answer in answers] == [500, 200, 200, 200]
            assert [bytes(answer.body) for answer in answers[1:]] == [b"odd", b"deep", b"1"]
            assert running.downs == running.restarts == []
            failed = [entry for entry, _ in running.logs if entry["logger"] == records.EXCEPTIONS]
            assert [entry["exception"]["type"] for entry in failed] == ["Mute"]
            collected = [entry for entry, _ in running.logs if entry["logger"] == records.MODEL_DATA]
            assert len(collected) == 3

    asyncio.run(test())
