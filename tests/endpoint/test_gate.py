"""Who is let in: by what the queue holds and what the pool would need, with a pool that stands still."""

from __future__ import annotations

import asyncio
import json
from time import monotonic

import pytest

from inference_server.batching.admission import Limits as Admits
from inference_server.batching.admission import Load
from inference_server.endpoint.deployment import Deployment
from inference_server.http.head import scan
from inference_server.http.limits import Limits
from inference_server.messages import DONE, Answer, ScoringRequest
from inference_server.scoring.config import ScoringConfig
from inference_server.workers.pool import Observer
from inference_server.workers.spec import PoolSpec

HEAD = scan(b"POST /score HTTP/1.1\r\nHost: here\r\n\r\n", Limits())
IDLE = Load(0, 0, [0.0])


class Standing:
    """A deployment whose workers never start, with the load a test says it has."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        rows: int = 1,
        limits: Admits | None = None,
        size: int = 0,
        bytes_: int = 0,
    ) -> None:
        self.reasons: list[str] = []
        spec = PoolSpec(ScoringConfig(max_batch_size=rows), "python")
        observer = Observer(refused=self.reasons.append)
        self.deployment = Deployment("d", spec, size, bytes_, observer, limits or Admits())
        self.load = IDLE
        monkeypatch.setattr(self.deployment.pool, "load", lambda: self.load)
        self.answers: list[Answer] = []

    def submit(self, timeout: float = 0.0, body: bytes = b"[1]") -> ScoringRequest:
        now = monotonic()
        request = ScoringRequest(HEAD, [body], len(body), now, self.answers.append)
        request.deadline = now + timeout if timeout else 0.0
        self.deployment.submit(request)
        return request

    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


@pytest.mark.parametrize("rows", [1, 8])
def test_a_full_queue_and_an_end_are_503(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    async def test() -> None:
        standing = Standing(monkeypatch, rows, size=2, bytes_=100)
        deployment = standing.deployment
        for _ in range(3):
            standing.submit()
        standing.submit(timeout=5)
        assert standing.statuses() == [503, 503]
        assert b"as many waiting requests" in standing.answers[0].body
        assert deployment.refusal(10, 0.0) is not None
        deployment.draining = True
        refusal = deployment.refusal(0, 0.0)
        assert refusal is not None
        assert b"shutting down" in refusal.body

    asyncio.run(test())


def test_a_body_that_has_not_come_is_judged_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        standing = Standing(monkeypatch, bytes_=1000)
        standing.submit(body=b"x" * 600)
        assert standing.deployment.refusal(400, 0.0) is None
        refusal = standing.deployment.refusal(401, 0.0)
        assert refusal is not None
        assert refusal.status == 503

    asyncio.run(test())


@pytest.mark.parametrize("rows", [1, 8])
def test_limits_are_429_with_the_reason_and_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    async def test() -> None:
        standing = Standing(monkeypatch, rows, Admits(max_concurrent=2))
        standing.load = Load(7, 5, [0.1, 0.1])
        standing.submit()
        standing.load = Load(8, 6, [0.1, 0.1])
        standing.submit()
        assert standing.statuses() == [429]
        message = json.loads(standing.answers[0].body)["message"]
        assert "max_concurrent_requests_per_instance" in message
        assert standing.answers[0].headers == b"Retry-After: 1\r\n"
        assert len(standing.reasons) == 1

    asyncio.run(test())


def test_a_deadline_that_cannot_be_met_is_429_and_one_that_can_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        standing = Standing(monkeypatch)
        deployment = standing.deployment
        for _ in range(300):
            deployment.queue.learn(0.1)
        standing.load = Load(20, 20, [0.05])
        standing.submit(timeout=0.5)
        assert standing.statuses() == [429]
        standing.submit(timeout=30)
        standing.submit()  # without a deadline it may wait
        assert standing.statuses() == [429]
        assert len(deployment.queue) == 2
        standing.load = IDLE
        standing.submit(timeout=0.05)  # it would be run at once
        assert standing.statuses() == [429]

    asyncio.run(test())


def test_what_was_predicted_is_compared_with_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        standing = Standing(monkeypatch)
        deployment = standing.deployment
        standing.load = Load(3, 2, [0.05])
        answered, left, late = (standing.submit(timeout=30) for _ in range(3))
        accuracy = deployment.gate.admission.accuracy
        answered.resolve(Answer(200, b"1", exec_ms=1.0))
        deployment.leave(left)
        late.resolve(Answer(408, b""))
        assert standing.statuses() == [200, 408]
        assert len(accuracy) == 1  # one wait came true, of the others it is not known
        assert not accuracy._open
        assert left.state == DONE
        assert answered.reply == standing.answers.append  # nothing is left that holds it

    asyncio.run(test())
