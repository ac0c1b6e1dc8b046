"""One time limit for all requests of a deployment: who is ended, when, and what is kept."""

from __future__ import annotations

import asyncio
import random
from time import monotonic

from inference_server.endpoint.timeouts import SLACK, Timeouts
from inference_server.messages import DONE, Answer, ScoringRequest
from tests.endpoint.deployments import HEAD
from tests.workers.pools import until


def request(arrived: float) -> ScoringRequest:
    return ScoringRequest(HEAD, [], 0, arrived, lambda answer: None)


def test_each_is_ended_when_its_time_is_over_whatever_the_order_they_come_in() -> None:
    async def test() -> None:
        ended: list[tuple[ScoringRequest, float]] = []

        def expire(late: ScoringRequest) -> None:
            late.resolve(Answer(408, b""))
            ended.append((late, monotonic() - late.arrived))

        timeouts = Timeouts(expire)
        begin = monotonic()
        sent = [request(begin + number * 0.002) for number in range(100)]
        for one in random.sample(sent, 100):
            timeouts.add(one, 0.1, 100)
        for one in sent[10:90]:
            one.resolve(Answer(200, b""))
        await until(lambda: len(ended) == 20)
        assert [one for one, _ in ended] == sent[:10] + sent[90:]
        assert all(0.1 <= seconds < 1 for _, seconds in ended)
        assert len(timeouts) == 0
        timeouts.add(request(begin - 5), 0.1, 1)  # its time was over before its body had come
        await until(lambda: len(ended) == 21)
        timeouts.add(request(monotonic()), 60, 1)
        timeouts.close()
        assert len(timeouts) == 0

    asyncio.run(test())


def test_answered_requests_are_not_kept() -> None:
    async def test() -> None:
        timeouts = Timeouts(lambda late: None)
        hangs = request(monotonic())
        timeouts.add(hangs, 60, 0)
        for _ in range(10 * SLACK):
            one = request(monotonic())
            timeouts.add(one, 60, 2)
            one.state = DONE
            assert len(timeouts) <= SLACK + 6
        hangs.state = DONE
        timeouts.add(request(monotonic()), 60, 1)
        assert len(timeouts) == 1
        timeouts.close()

    asyncio.run(test())
