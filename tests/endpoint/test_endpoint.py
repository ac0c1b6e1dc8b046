"""An endpoint and its deployments, with real workers: who gets a request while the table changes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from inference_server.endpoint.endpoint import Endpoint
from inference_server.endpoint.errors import BadArgument, ResourceNotFound
from inference_server.endpoint.limits import RequestLimits
from inference_server.endpoint.mirror import Mirror
from inference_server.endpoint.traffic import Traffic
from inference_server.errors import StartError
from inference_server.lifecycle import ServerState
from inference_server.messages import Answer
from tests.endpoint.deployments import calling, deployment
from tests.workers.pools import alive, until


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_safe_rollout(tmp_path: Path) -> None:
    async def test() -> None:
        async with calling() as calls:
            endpoint, ask = calls.endpoint, calls.ask
            assert await ask() == 404
            assert endpoint.facts is None
            blue, green = deployment(tmp_path, "blue"), deployment(tmp_path, "green")
            await endpoint.add(blue)
            assert endpoint.submit == blue.submit  # the only one costs nothing more
            assert await ask() == "blue"
            await endpoint.add(green)
            assert await ask() == 404  # nobody said who gets what
            endpoint.set_traffic(Traffic.parse("blue=100"))
            assert endpoint.submit != blue.submit
            assert await ask() == "blue"
            assert await ask(to="Green") == "green"

            with pytest.raises(BadArgument, match="blue gets live requests"):
                endpoint.set_mirror(Mirror.parse("blue=10"))
            endpoint.set_mirror(Mirror.parse("green=10"))
            with pytest.raises(BadArgument, match="green gets mirrored requests, and"):
                endpoint.set_traffic(Traffic.parse("blue=90 green=10"))
            assert Counter([await ask() for _ in range(20)]) == {"blue": 20}
            assert [await ask(to="blue") for _ in range(20)] == ["blue"] * 20  # named: no copies
            await until(lambda: len(calls.copied) == 2)
            assert {answer.body for _, answer in calls.copied} == {b'"green"'}
            with pytest.raises(BadArgument, match="end that first"):
                await endpoint.remove("green", 5)
            endpoint.set_mirror(Mirror.parse("green=0"))

            endpoint.set_traffic(Traffic.parse("blue=90 green=10"))
            assert Counter([await ask() for _ in range(100)]) == {"blue": 90, "green": 10}
            with pytest.raises(BadArgument, match="blue gets 90 per cent"):
                await endpoint.remove("blue", 5)
            endpoint.set_traffic(Traffic.parse("blue=0 green=100"))
            assert {await ask() for _ in range(20)} == {"green"}
            pids = [report.pid for report in blue.pool.reports()]
            await endpoint.remove("BLUE", 5)
            assert not any(map(alive, pids))
            assert await ask(to="blue") == 404
            assert endpoint.names == ["green"]
            endpoint.set_traffic(Traffic.of({}))
            assert await ask() == 404  # traffic was set once: 0 is meant
            assert await ask(to="green") == "green"

    asyncio.run(test())


def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with calling() as calls:
            endpoint = calls.endpoint
            await endpoint.add(deployment(tmp_path, "blue"))
            with pytest.raises(ResourceNotFound, match="no deployment 'red' of this endpoint; it has: blue"):
                endpoint.set_traffic(Traffic.parse("red=100"))
            with pytest.raises(ResourceNotFound):
                endpoint.set_mirror(Mirror.parse("red=5"))
            with pytest.raises(ResourceNotFound):
                await endpoint.remove("red", 0)
            with pytest.raises(ResourceNotFound):
                await endpoint.replace(deployment(tmp_path, "red"), 0)
            with pytest.raises(BadArgument, match="there is a deployment blue already"):
                await endpoint.add(deployment(tmp_path, "Blue"))
            Path("broken").touch()
            with pytest.raises(StartError, match="it is broken"):
                await endpoint.replace(deployment(tmp_path, "blue", "2"), 5)
            with pytest.raises(StartError, match="it is broken"):
                await endpoint.add(deployment(tmp_path, "green"))
            assert endpoint.names == ["blue"]
            assert await calls.ask() == "blue"

            _, unknown = calls.send(to="Réd\r\n" + "x" * 500)
            message = json.loads((await unknown).body)["message"]
            assert message.endswith("It has: blue.")
            assert len(message) < 200
            answer = await calls.send(to="red", authorized=False)[1]
            assert answer.status == 404
            assert b"blue" not in answer.body
            refusal = endpoint.refusal_to("red", 10, 0.0, authorized=False)
            assert refusal is not None
            assert refusal.body == answer.body
            assert endpoint.refusal_to("blue", 10, 0.0) is None

    asyncio.run(test())


def test_updates_lose_no_request_and_begin_with_new_ones(tmp_path: Path) -> None:
    """Under a steady stream of requests: one deployment is replaced three times, another comes and goes."""

    async def test() -> None:
        async with calling() as calls:
            endpoint, done, answers = calls.endpoint, False, Counter[str]()
            await endpoint.add(deployment(tmp_path, "blue"))

            async def caller() -> None:
                while not done:
                    answers[await calls.ask()] += 1

            callers = [asyncio.create_task(caller()) for _ in range(4)]
            for version in ("2", "3"):
                await endpoint.replace(deployment(tmp_path, "blue", version), 10)
                assert await calls.ask() == f"blue{version}"
            endpoint.set_traffic(Traffic.parse("blue=100"))
            await endpoint.add(deployment(tmp_path, "green"))
            endpoint.set_traffic(Traffic.parse("blue=50 green=50"))
            await until(lambda: answers["green"] > 10)
            held, waits = calls.send("wait", to="green")  # is being worked on while its deployment goes
            endpoint.set_traffic(Traffic.parse("blue=100"))
            removing = asyncio.create_task(endpoint.remove("green", 10))
            await until(lambda: endpoint.names == ["blue"])
            with pytest.raises(BadArgument, match="another operation is running on green"):
                await endpoint.add(deployment(tmp_path, "green"))
            assert held.taken_by.name == "green"
            Path("green.go").touch()
            assert json.loads((await waits).body) == "green"
            await removing
            done = True
            await asyncio.gather(*callers)
            assert set(answers) == {"blue", "blue2", "blue3", "green"}

    asyncio.run(test())


def test_who_leaves_is_forgotten_where_it_was_taken(tmp_path: Path) -> None:
    async def test() -> None:
        async with calling() as calls:
            endpoint = calls.endpoint
            blue = deployment(tmp_path, "blue")
            await endpoint.add(blue)
            busy, _ = calls.send("wait")  # came straight to the only one
            waiting, _ = calls.send("wait")
            await until(lambda: len(blue.queue) == 1)
            replacing = asyncio.create_task(endpoint.replace(deployment(tmp_path, "blue", "2"), 10))
            await until(lambda: endpoint.get("blue") is not blue)
            new, _ = calls.send("wait")
            endpoint.leave(waiting)
            endpoint.leave(new)
            assert len(blue.queue) == 0
            assert len(endpoint.get("blue").queue) == 0
            endpoint.leave(busy)
            Path("blue.go").touch()
            Path("blue2.go").touch()
            await replacing
            assert await calls.ask() == "blue2"

    asyncio.run(test())


def test_too_many_at_once_and_too_late(tmp_path: Path) -> None:
    async def test() -> None:
        async with calling() as calls:
            blue = deployment(tmp_path, "blue", request_limits=RequestLimits(concurrency=2, timeout=0.3))
            await calls.endpoint.add(blue)
            sent = [calls.send("wait")[1] for _ in range(4)]
            assert blue.in_flight() == 4
            refusal = calls.endpoint.refusal(10, 0.0)
            assert refusal is not None
            answer = await calls.send()[1]
            assert (answer.status, refusal.status) == (429, 429)
            assert (
                b"4 are in flight, of max_concurrent_requests_per_instance 2 on 1 instance(s)" in answer.body
            )
            answers: list[Answer] = await asyncio.gather(*sent)
            assert [answer.status for answer in answers] == [408] * 4
            blue.request_limits = RequestLimits(concurrency=2, instances=2, timeout=30)
            Path("blue.go").touch()
            await until(lambda: blue.in_flight() == 0)
            assert await calls.ask() == "blue"

    asyncio.run(test())


def test_health_is_that_of_the_best_deployment_with_traffic(tmp_path: Path) -> None:
    async def test() -> None:
        plain = Endpoint(deployment(tmp_path, "default"))
        assert plain.health().state is ServerState.STARTING
        assert not plain.health().deployments
        await plain.stop(0)
        async with calling() as calls:
            endpoint = calls.endpoint
            assert endpoint.health().state is ServerState.READY
            assert endpoint.health().reason == "no deployments"
            await endpoint.add(deployment(tmp_path, "blue", worker_count=2))
            await endpoint.add(deployment(tmp_path, "green"))
            endpoint.set_traffic(Traffic.parse("blue=100"))
            endpoint.set_mirror(Mirror.parse("green=20"))
            report = endpoint.health()
            assert report.state is ServerState.READY
            assert report.started
            assert len(report.workers) == 3
            assert [(one.name, one.traffic, one.mirrored) for one in report.deployments] == [
                ("blue", 100, 0),
                ("green", 0, 20),
            ]
            assert report.reason == (
                "blue (traffic 100 %): 2 of 2 worker(s) serve; green (mirrored 20 %): 1 of 1 worker(s) serve"
            )
            endpoint.get("blue").draining = True
            assert endpoint.health().state is ServerState.DRAINING

    asyncio.run(test())


def test_an_end_during_a_start_leaves_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with calling() as calls:
            blue, green = deployment(tmp_path, "blue"), deployment(tmp_path, "green")
            adding = asyncio.create_task(calls.endpoint.add(blue))
            await until(lambda: any(slot.coming for slot in blue.pool.slots))
            adding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await adding
            assert calls.endpoint.names == []
            adding = asyncio.create_task(calls.endpoint.add(green))
            await asyncio.sleep(0)
            await calls.endpoint.stop(0)
            with pytest.raises(StartError, match="shutting down"):
                await adding
            assert not green.pool.serving

    asyncio.run(test())
