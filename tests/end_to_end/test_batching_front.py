"""Batching as the caller and the operator meet it: the real command, its log, its health, its metrics."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.end_to_end.callers import Caller, run_all
from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, wait_for

SCRIPT = """
    import json, os, time

    def init():
        pass

    def run(data):
        rows = json.loads(data)["data"]
        time.sleep(0.002 + max(row[1] for row in rows))
        if any(row[2] == "die" for row in rows):
            os._exit(9)
        return [row[0] * 3 for row in rows]
"""
TOGETHER = ("--max_batch_size", "16", "--no_batch_proof")


def row(value: int, sleep: float = 0.0, what: str = "") -> dict[str, Any]:
    return {"data": [[value, sleep, what]]}


def sample(server: Server, name: str) -> float:
    """One number of /metrics."""
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"{name} is not in /metrics")


def asking(
    count: int, callers: int, seen: list[tuple[int, int, Any]]
) -> list[Callable[[Caller], Awaitable[None]]]:
    """Works that ask for `count` distinct values in all, one after the other."""

    def work(number: int) -> Callable[[Caller], Awaitable[None]]:
        async def ask(caller: Caller) -> None:
            for value in range(number, count, callers):
                got = await caller.ask(row(value))
                seen.append((value, got.status, got.value))

        return ask

    return [work(number) for number in range(callers)]


def test_rows_are_proven_then_joined_and_everybody_is_told(serve: Serve) -> None:
    server = serve(SCRIPT, "--max_batch_size", "16", "--worker_count", "2")
    facts = server.get("/readyz").json()["batching"]
    assert (facts["way"], facts["state"], facts["max_rows"]) == ("rows", "proving", 16)
    assert facts["reason"]
    server.wait_log("Batching: rows, up to 16 rows in a call: ")
    server.wait_log("Batching: proving begins with the first requests")
    seen: list[tuple[int, int, Any]] = []
    run_all(server.port, asking(1500, 32, seen))
    assert sorted(seen) == [(value, 200, [3 * value]) for value in range(1500)]
    facts = server.get("/readyz").json()["batching"]
    assert facts["state"] == "on"
    assert facts["agreed"] > 0
    assert server.log().count("Batching is on: ") == 1
    assert sample(server, 'azmlinfsrv_batching{deployment="default",state="on"}') == 1
    calls = sample(server, 'azmlinfsrv_batch_requests_count{deployment="default"}')
    assert sample(server, 'azmlinfsrv_batch_requests_sum{deployment="default"}') == 1500
    assert calls < 900
    assert sample(server, 'azmlinfsrv_batches_total{deployment="default",reason="proving"}') > 0


def test_a_script_that_mixes_rows_is_refused_and_the_requests_kept(serve: Serve, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    script = SCRIPT.replace("row[0] * 3 for", "row[0] * 3 - sum(r[0] for r in rows) // len(rows) * 3 for")
    server = serve(script, "--max_batch_size", "16", "--proof_dir", str(kept))
    seen: list[tuple[int, int, Any]] = []
    run_all(server.port, asking(300, 16, seen))
    assert sorted(seen) == [(value, 200, [0]) for value in range(300)]  # as each would get alone
    server.wait_log("Batching is refused for this script")
    facts = server.get("/readyz").json()["batching"]
    assert facts["state"] == "refused"
    assert Path(facts["repro"]).is_file()
    assert facts["repro"] in server.log()
    assert kept in Path(facts["repro"]).parents
    assert sample(server, 'azmlinfsrv_batching{deployment="default",state="refused"}') == 1


def test_scripts_that_cannot_be_joined_say_why_and_without_the_flag_nothing_is_said(serve: Serve) -> None:
    alone = """
        def init():
            pass

        def run(raw, request_headers):
            return raw
    """
    server = serve(alone, "--max_batch_size", "8")
    assert server.score({"data": [1]}).json() == '{"data": [1]}'
    facts = server.get("/readyz").json()["batching"]
    assert (facts["way"], facts["state"]) == ("single", "off")
    server.wait_log("Batching: one run() call for each request: ")
    plain = serve(SCRIPT)
    assert "batching" not in plain.get("/readyz").json()
    assert "Batching" not in plain.log()
    assert b"azmlinfsrv_batching{" not in plain.get("/metrics").body


def test_one_request_that_kills_its_worker_fails_alone(serve: Serve) -> None:
    server = serve(SCRIPT, *TOGETHER)
    seen: dict[int, int] = {}

    def work(value: int) -> Callable[[Caller], Awaitable[None]]:
        async def ask(caller: Caller) -> None:
            got = await caller.ask(row(value, 0.02, "die" if value == 7 else ""))
            seen[value] = got.status
            assert got.status != 200 or got.value == [3 * value]

        return ask

    run_all(server.port, [work(value) for value in range(40)])
    assert seen == {value: 500 if value == 7 else 200 for value in range(40)}
    again = sample(server, 'azmlinfsrv_requests_rerun_total{deployment="default"}')
    assert 0 <= again <= 16


def test_kills_and_leaving_callers_mix_up_nobodys_answers(serve: Serve) -> None:
    """5,000 requests with distinct answers."""
    server = serve(SCRIPT, *TOGETHER, "--worker_count", "2")
    lots = random.Random(11)
    outcomes: Counter[str] = Counter()

    def work(number: int) -> Callable[[Caller], Awaitable[None]]:
        async def ask(caller: Caller) -> None:
            for value in range(number, 5000, 50):
                await caller.send(row(value))
                if lots.random() < 0.05:
                    caller.reset()
                    outcomes["left"] += 1
                    continue
                got = await caller.receive()
                outcomes[str(got.status)] += 1
                assert got.status == 500 or (got.status, got.value) == (200, [3 * value])

        return ask

    async def kill(caller: Caller) -> None:
        for _ in range(5):
            before = sum(outcomes.values())
            while before + 400 > sum(outcomes.values()) < 4900:
                await asyncio.sleep(0.01)
            pids = server.worker_pids()
            os.kill(lots.choice(pids), signal.SIGKILL)

    run_all(server.port, [kill, *map(work, range(50))])
    assert sum(outcomes.values()) == 5000
    assert outcomes["200"] > 4600
    assert outcomes["500"] < 50
    wait_for(lambda: server.get("/readyz").json()["queued"] == 0)


def test_when_half_the_callers_leave_the_others_have_the_server_to_themselves(serve: Serve) -> None:
    script = SCRIPT.replace("0.002", "0.05").replace(
        "return", "open('ran', 'a').write('x' * len(rows)); return"
    )
    server = serve(script, *TOGETHER)
    took: list[float] = []

    def work(value: int) -> Callable[[Caller], Awaitable[None]]:
        async def ask(caller: Caller) -> None:
            began = time.monotonic()
            await caller.send(row(value))
            if value % 2:
                await asyncio.sleep(0.03)
                caller.reset()
                return
            assert (await caller.receive()).value == [3 * value]
            took.append(time.monotonic() - began)

        return ask

    run_all(server.port, [work(value) for value in range(320)])
    assert len(took) == 160
    wait_for(lambda: server.get("/readyz").json()["queued"] == 0)
    ran = len((server.folder / "ran").read_text())
    assert ran <= 160 + 2 * 16  # those who left were not run, but for the batches that had begun
    wait_for(lambda: server.workers()[0]["state"] == "ready")
