"""The worker's event loop when run() is cut short from outside, and after a fork."""

from __future__ import annotations

import asyncio
import os
import signal
from types import FrameType

import pytest

from inference_server.scoring import coroutines


class Alarm(BaseException):
    pass


def test_an_interrupted_coroutine_does_not_go_on_beside_the_next() -> None:
    steps: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    async def quick() -> str:
        await asyncio.sleep(0.01)
        return "quick"

    def ring(signum: int, frame: FrameType | None) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Alarm):
            coroutines.wait(slow())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert steps == ["cleaned up"]
    assert coroutines.wait(quick()) == "quick"


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    async def number() -> int:
        await asyncio.sleep(0.001)
        return 7

    assert coroutines.wait(number()) == 7
    child = os.fork()
    if child == 0:
        os._exit(coroutines.wait(number()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert coroutines.wait(number()) == 7
