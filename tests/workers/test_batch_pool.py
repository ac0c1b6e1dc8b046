"""Workers that run requests together: what they are given, who is answered when they die or hang, what is taken back."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from inference_server.messages import Answer
from inference_server.scoring import wire
from inference_server.workers.batch_pool import BatchPool
from inference_server.workers.batch_worker import BatchWorker
from tests.workers.pools import Running, pool_of, until

# Rows are joined at once: no proof is asked for. Each call is noted with its values.
SCRIPT = """
    import json, os, time

    def init():
        pass

    def run(data):
        rows = json.loads(data)["data"]
        with open("runs", "a") as file:
            file.write(json.dumps([row[0] for row in rows]) + "\\n")
        time.sleep(max(row[1] for row in rows))
        if any(row[2] == "die" for row in rows):
            os._exit(7)
        if any(row[2] == "die together" for row in rows) and len(rows) > 1:
            os._exit(7)
        while any(row[2] == "hang together" for row in rows) and len(rows) > 1:
            try:
                time.sleep(0.01)
            except BaseException:
                pass
        return [row[0] for row in rows]
"""
TOGETHER: dict[str, Any] = {"max_batch_size": 16, "batch_proof": False}


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def calls() -> list[list[int]]:
    """The values of every run() call."""
    return (
        [json.loads(line) for line in Path("runs").read_text().splitlines()] if Path("runs").exists() else []
    )


def row(value: int, sleep: float = 0.0, what: str = "") -> dict[str, Any]:
    return {"data": [[value, sleep, what]]}


async def holding(running: Running, sleep: float, workers: int = 1) -> list[asyncio.Future[Answer]]:
    """Every worker is busy for so long, with one request each."""
    asked = []
    for number in range(workers):
        asked.append(running.submit(row(-1 - number, sleep)))
        await until(lambda number=number: len(calls()) == number + 1)  # type: ignore[misc]
    return asked


def worker_of(running: Running, number: int = 0) -> BatchWorker:
    assert isinstance(running.pool, BatchPool)
    return running.pool._workers[number]


def values(answers: list[Answer]) -> list[Any]:
    return [json.loads(answer.body)[0] if answer.status == 200 else answer.status for answer in answers]


def test_what_comes_while_a_worker_is_busy_is_run_together(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, **TOGETHER) as running:
            first = await holding(running, 0.2)
            asked = [running.submit(row(number)) for number in range(40)]
            await asyncio.sleep(0)
            await until(lambda: len(worker_of(running).in_hand) == 17)  # one batch ahead, and no more
            assert len(running.queue) == 24
            assert values(await asyncio.gather(*asked)) == list(range(40))
            await first[0]
            assert [len(call) for call in calls()] == [1, 16, 16, 8]
            assert [batch.requests for batch in running.batches] == [1, 16, 16, 8]
            assert [batch.reason for batch in running.batches[1:3]] == [wire.FULL, wire.FULL]
            assert running.pool.rows_of_body(30) == 1

    asyncio.run(test())


def test_idle_workers_share_what_waits(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, worker_count=2, **TOGETHER) as running:
            asked = [running.submit(row(number, 0.05)) for number in range(12)]
            assert values(await asyncio.gather(*asked)) == list(range(12))
            assert sorted(len(call) for call in calls()) == [6, 6]

    asyncio.run(test())


def test_what_lies_ahead_goes_to_a_worker_that_runs_dry(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, worker_count=2, **TOGETHER) as running:
            slow = running.submit(row(-1, 1.5))
            await until(lambda: len(calls()) == 1)
            other = running.submit(row(-2, 0.3))
            await until(lambda: len(calls()) == 2)
            began = time.monotonic()
            asked = [running.submit(row(number)) for number in range(8)]
            assert values(await asyncio.gather(*asked)) == list(range(8))
            assert time.monotonic() - began < 1.0
            assert other.done()
            assert not slow.done()
            assert values([await slow]) == [-1]
            assert sorted(value for call in calls() for value in call) == [-2, -1, *range(8)]  # each once

    asyncio.run(test())


def test_who_leaves_before_the_call_begins_is_not_run(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, **TOGETHER) as running:
            first = await holding(running, 0.2)
            asked = [running.request(json.dumps(row(number)).encode()) for number in range(30)]
            await until(lambda: len(running.queue) < 30)
            for request, _ in asked[::2]:
                running.leave(request)
            answers = await asyncio.gather(*(future for _, future in asked[1::2]))
            assert values(answers) == list(range(1, 30, 2))
            await first[0]
            assert sorted(value for call in calls()[1:] for value in call) == list(range(1, 30, 2))
            await until(lambda: not worker_of(running).in_hand)
            assert len(running.queue) == 0

    asyncio.run(test())


def test_those_that_shared_a_crash_are_run_again_alone_and_only_the_one_to_blame_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, **TOGETHER) as running:
            await holding(running, 0.2)
            asked = [running.submit(row(number, 0, "die" if number == 5 else "")) for number in range(10)]
            answers = await asyncio.gather(*asked)
            assert values(answers) == [0, 1, 2, 3, 4, 500, 6, 7, 8, 9]
            together = [call for call in calls() if len(call) > 1]
            assert together == [list(range(10))]
            assert running.again == [10]
            assert len(running.restarts) == 2
            assert "10 requests shared its run() call: each is run once more, alone" in caplog.text
            # the same body comes again: it takes nobody with it
            running.submit(row(-9, 0.2))
            await until(lambda: [-9] in calls())
            answers = await asyncio.gather(
                *[running.submit(row(n, 0, "die" if n == 5 else "")) for n in range(3, 8)]
            )
            assert values(answers) == [3, 4, 500, 6, 7]
            assert [5] in calls()[-6:]
            assert running.again == [10]

    asyncio.run(test())


@pytest.mark.parametrize("preload", [False, True])
def test_a_crash_of_company_costs_nobody_anything(tmp_path: Path, preload: bool) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, preload=preload, **TOGETHER) as running:
            await holding(running, 0.2)
            asked = [running.submit(row(number, 0, "die together")) for number in range(6)]
            assert values(await asyncio.gather(*asked)) == list(range(6))
            assert running.restarts == ["crashed"]

    asyncio.run(test())


def test_without_re_execution_all_that_shared_the_crash_get_their_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, batch_reexecution=False, **TOGETHER) as running:
            await holding(running, 0.2)
            asked = [running.submit(row(number, 0, "die together")) for number in range(6)]
            assert values(await asyncio.gather(*asked)) == [500] * 6
            assert running.again == []
            assert "6 requests shared its run() call: all of them fail, as was asked for" in caplog.text

    asyncio.run(test())


def test_a_shared_call_that_hangs_is_killed_and_all_are_run_alone(tmp_path: Path) -> None:
    async def test() -> None:
        limits: dict[str, Any] = {"scoring_timeout_ms": 300, "stall_grace": 0.2}
        async with pool_of(tmp_path, SCRIPT, **limits, **TOGETHER) as running:
            await holding(running, 0.1)
            asked = [
                running.submit(row(number, 0, "hang together" if number == 2 else "")) for number in range(5)
            ]
            later = asyncio.get_running_loop().call_later(0.35, lambda: asked.append(running.submit(row(9))))
            answers = await asyncio.wait_for(asyncio.gather(*list(asked)), 10)
            assert values(answers) == list(range(5))
            later.cancel()
            assert values([await asked[-1]]) == [9]
            assert running.restarts == ["killed"]

    asyncio.run(test())


def test_the_window_holds_what_is_not_a_full_batch(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, max_queue_delay=0.15, **TOGETHER) as running:
            began = time.monotonic()
            asked = [running.submit(row(0))]
            await asyncio.sleep(0.05)
            asked.append(running.submit(row(1)))
            assert values(await asyncio.gather(*asked)) == [0, 1]
            assert 0.14 < time.monotonic() - began < 1.0
            assert calls() == [[0, 1]]
            began = time.monotonic()
            await asyncio.gather(*[running.submit(row(number)) for number in range(16)])
            assert time.monotonic() - began < 0.13  # full: it does not wait
            await until(lambda: len(running.batches) == 2)
            assert [batch.reason for batch in running.batches] == [wire.DEADLINE, wire.FULL]

    asyncio.run(test())


def test_over_loopback_batches_are_run_as_well(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, channel="tcp", **TOGETHER) as running:
            await holding(running, 0.2)
            asked = [
                running.submit(row(number, 0, "die together" if number == 3 else "")) for number in range(30)
            ]
            assert values(await asyncio.gather(*asked)) == list(range(30))
            assert max(map(len, calls())) == 16

    asyncio.run(test())


PROVEN = """
    import json, time

    def init():
        pass

    def run(data):
        rows = json.loads(data)["data"]
        time.sleep(0.0005)
        return [{answer} for row in rows]
"""


def test_a_verdict_holds_for_all_workers_and_those_that_come_later(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(
            tmp_path, PROVEN.format(answer="row[0]"), worker_count=2, max_batch_size=8
        ) as running:
            pool = running.pool
            assert isinstance(pool, BatchPool)
            report = pool.batching()
            assert report is not None
            assert (report.way, report.state) == ("rows", "proving")
            await until_on(running)
            assert all(worker.merging for worker in pool._workers)
            os.kill(running.pids()[0], signal.SIGKILL)
            await until(lambda: len(running.restarts) == 1 and pool.serving == 2)
            assert all(worker.merging for worker in pool._workers)
            before = len(running.batches)
            asked = [running.submit({"data": [[number, 1, 2]]}) for number in range(200)]
            assert values(await asyncio.gather(*asked)) == list(range(200))
            assert not any(batch.reason == wire.PROVING for batch in running.batches[before:])

    asyncio.run(test())


async def until_on(running: Running, state: str = "on") -> None:
    assert isinstance(running.pool, BatchPool)
    end = time.monotonic() + 20
    while (report := running.pool.batching()) is None or report.state != state:
        await asyncio.gather(*[running.ask({"data": [[random.randrange(10**6), 1, 2]]}) for _ in range(16)])
        assert time.monotonic() < end, report


def test_a_script_that_couples_rows_is_refused_and_the_evidence_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        script = PROVEN.format(answer="row[0] - sum(r[0] for r in rows) / len(rows)")
        evidence = tmp_path / "evidence"
        async with pool_of(
            tmp_path, script, worker_count=2, max_batch_size=8, proof_dir=str(evidence)
        ) as running:
            with caplog.at_level("INFO"):
                await until_on(running, "refused")
            pool = running.pool
            assert isinstance(pool, BatchPool)
            report = pool.batching()
            assert report is not None
            assert Path(report.repro).is_file()
            assert evidence in Path(report.repro).parents
            assert report.reason
            assert report.repro in caplog.text
            assert not any(worker.merging for worker in pool._workers)
            assert await running.ask({"data": [[5, 1, 2]]}) == [0.0]

    asyncio.run(test())


def test_whatever_happens_each_gets_its_own_answer_once(tmp_path: Path) -> None:
    """Workers are killed and callers leave at random moments, in a seeded order."""

    async def test() -> None:
        lots = random.Random(5)
        async with pool_of(tmp_path, SCRIPT, worker_count=2, **TOGETHER) as running:
            outcomes: list[bool] = []

            async def ask(value: int) -> None:
                request, future = running.request(json.dumps(row(value, lots.random() * 0.002)).encode())
                if lots.random() < 0.1:
                    await asyncio.sleep(lots.random() * 0.02)
                    running.leave(request)
                    return
                answer = await asyncio.wait_for(future, 20)
                outcomes.append(answer.status == 200)
                assert answer.status == 500 or json.loads(answer.body) == [value]

            async def caller(first: int) -> None:
                for value in range(first, first + 60):
                    await ask(value)

            async def kill() -> None:
                for _ in range(6):
                    await asyncio.sleep(0.05 + lots.random() * 0.15)
                    for pid in running.pids()[:1]:
                        os.kill(pid, signal.SIGKILL)

            work: list[Coroutine[Any, Any, None]] = [caller(1000 * number) for number in range(40)]
            await asyncio.gather(kill(), *work)
            assert sum(outcomes) > 0.97 * len(outcomes) > 1500
            await until(lambda: running.pool.in_hand() == 0 and len(running.queue) == 0)

    asyncio.run(test())


DECLARED = """
    import os, time
    from inference_server import batched

    def init():
        pass

    @batched(max_batch_size=4, reexecute=False)
    def run(items):
        with open("runs", "a") as file:
            file.write(f"{[0] * len(items)}\\n")
        time.sleep(0.1)
        if '"die"' in items:
            os._exit(7)
        return items
"""


def test_what_the_script_says_of_its_batches_holds(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, DECLARED, max_batch_size=16) as running:
            first = running.submit("first")
            await until(lambda: len(calls()) == 1)
            asked = [running.submit(value) for value in ("a", "b", "die", "c", "d")]
            assert [answer.status for answer in await asyncio.gather(first, *asked)] == [
                200,
                500,
                500,
                500,
                500,
                200,
            ]
            assert [len(call) for call in calls()] == [1, 4, 1]
            assert running.again == []

    asyncio.run(test())


ONE_BY_ONE = """
import json, os
from inference_server import batched

def init():
    pass

{head}
    if "die" in str({item}) and not os.path.exists("died"):
        open("died", "w").close()
        os._exit(7)
    return [1]
"""
HEADERS = ONE_BY_ONE.format(head="def run(raw, request_headers):", item="raw")
AT_MOST_ONE = ONE_BY_ONE.format(head="@batched(max_batch_size=1)\ndef run(items):", item="items")


@pytest.mark.parametrize("script", [HEADERS, AT_MOST_ONE])
def test_a_body_that_crashed_a_worker_once_is_run_again_by_a_script_that_is_never_merged(
    tmp_path: Path, script: str
) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, script, max_batch_size=16) as running:
            assert isinstance(running.pool, BatchPool)
            report = running.pool.batching()
            assert report is not None
            assert (report.way, report.state) == ("single", "off")
            statuses = [(await running.submit("die")).status for _ in range(3)]
            assert statuses == [500, 200, 200]

    asyncio.run(test())


@pytest.mark.parametrize("what", ["hang", "die"])
def test_a_comparison_that_hangs_or_kills_costs_no_caller_and_is_not_made_again(
    tmp_path: Path, what: str
) -> None:
    limits: dict[str, Any] = {"scoring_timeout_ms": 400, "stall_grace": 0.2}

    async def test() -> None:
        async with pool_of(tmp_path, SCRIPT, max_batch_size=16, **limits) as running:
            pool = running.pool
            assert isinstance(pool, BatchPool)
            end = time.monotonic() + 20
            while (report := pool.batching()) is None or report.state != "refused":
                asked = [running.submit(row(number, 0, f"{what} together")) for number in range(8)]
                assert values(await asyncio.wait_for(asyncio.gather(*asked), 10)) == list(range(8))
                assert time.monotonic() < end
            assert "compared" in report.reason
            assert len(running.restarts) == 1

    asyncio.run(test())
