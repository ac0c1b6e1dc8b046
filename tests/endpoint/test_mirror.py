"""Copies: their share, their bound, and that an original never feels them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from inference_server.endpoint.errors import BadArgument
from inference_server.endpoint.mirror import Copies, Mirror
from inference_server.endpoint.traffic import Traffic
from inference_server.messages import Answer, ScoringRequest
from tests.endpoint.deployments import HEAD, calling, deployment
from tests.workers.pools import until


def test_the_text_form() -> None:
    assert Mirror.parse("Green=10") == Mirror("green", 10)
    assert Mirror.parse("green=10 blue=0") == Mirror("green", 10)
    assert Mirror.parse("green=0") is None
    assert Mirror.of({}) is None
    assert Mirror.parse("green=80", any_share=True) == Mirror("green", 80)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("green=51", "green=51 is more than the 50 per cent"),
        ("green=10 blue=10", "green and blue cannot both be mirrored to"),
        ("green", "--mirror-traffic: 'green' is no share"),
    ],
)
def test_what_cannot_be_is_said(text: str, says: str) -> None:
    with pytest.raises(BadArgument, match=says):
        Mirror.parse(text)


def request(answers: list[Answer]) -> ScoringRequest:
    return ScoringRequest(HEAD, [b"[1]"], 3, 0.0, answers.append)


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())


@pytest.mark.parametrize("percent", [1, 10, 33, 50])
def test_copies_are_evenly_spread(percent: int) -> None:
    async def test() -> None:
        got: list[ScoringRequest] = []
        copies = Copies(percent, got.append, most=1000)
        copied = []
        for _ in range(400):
            before = copies.sent
            copies.pass_by(request([]), 0.0)
            copied.append(copies.sent - before)
        for first in range(300):
            assert sum(copied[first : first + 100]) == percent
        assert not got  # not before the next turn of the loop
        await asyncio.sleep(0)
        assert len(got) == percent * 4

    in_a_loop(test)


def test_beyond_the_bound_they_are_dropped_and_counted_and_originals_know_nothing() -> None:
    async def test() -> None:
        got: list[ScoringRequest] = []
        told: list[int] = []
        copies = Copies(50, got.append, lambda copy, answer: told.append(answer.status), most=3)
        originals: list[Answer] = []
        for _ in range(20):
            copies.pass_by(request(originals), 5.0)
        await asyncio.sleep(0)
        assert (len(got), copies.sent, copies.dropped, copies.in_flight) == (3, 3, 7, 3)
        assert got[0].deadline == 5.0
        for copy in got:
            copy.resolve(Answer(500, b""))
            copy.resolve(Answer(200, b""))
        assert told == [500] * 3
        assert copies.in_flight == 0
        assert not originals

    in_a_loop(test)


def test_a_deployment_that_cannot_take_copies_costs_nothing() -> None:
    async def test() -> None:
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))

        def broken(copy: ScoringRequest) -> None:
            raise KeyError("gone")

        copies = Copies(100, broken, most=3)
        for _ in range(10):
            copies.pass_by(request([]), 0.0)
            await asyncio.sleep(0)
        assert (copies.sent, copies.dropped, copies.in_flight) == (10, 0, 0)
        assert len(failures) == 10

    in_a_loop(test)


def test_a_mirror_that_hangs_delays_nobody_and_streams_are_read_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blue.go").touch()

    async def test() -> None:
        async with calling() as calls:
            endpoint = calls.endpoint
            await endpoint.add(deployment(tmp_path, "blue"))
            await endpoint.add(deployment(tmp_path, "green"))
            endpoint.set_traffic(Traffic.parse("blue=100"))
            endpoint.set_mirror(Mirror.parse("green=50"))
            for _ in range(2):
                _, answer = calls.send("stream")
                stream = (await answer).stream
                assert stream is not None
                stream.close()
            await until(Path("green.streamed").exists)
            copies = endpoint.copies
            assert copies is not None
            await until(lambda: copies.in_flight == 0)

            assert [await calls.ask("wait") for _ in range(300)] == ["blue"] * 300
            assert copies.in_flight == 100
            assert copies.dropped == 50
            endpoint.set_mirror(Mirror.parse("green=25"))
            assert endpoint.copies is copies
            assert copies.percent == 25
            Path("green.go").touch()
            await until(lambda: copies.in_flight == 0)
            endpoint.set_traffic(Traffic.of({}))
            sent = copies.sent
            assert [await calls.ask() for _ in range(20)] == [404] * 20  # what nobody answers is not copied
            assert copies.sent == sent

    in_a_loop(test)
