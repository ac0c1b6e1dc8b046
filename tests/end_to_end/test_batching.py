"""Batching with the real command: what callers and operators see of it."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from inference_server.scoring.answer import JSON, Answer
from inference_server.scoring.batching.compare import difference
from tests.end_to_end.conftest import Serve
from tests.end_to_end.load import Load
from tests.end_to_end.running import Server, wait_for
from tests.scoring.batching import corpus_list

BATCHING = ("--max_batch_size", "32")
ENOUGH = 200  # requests within which a safe script is to be merged

ITEMS = """
    import json, os, signal, time
    def init():
        pass
    def run_batch(items):
        values = [json.loads(item) for item in items]
        time.sleep(0.005)
        if "bad" in values:
            raise ValueError("bad one")
        if "late" in values:
            time.sleep(60)
        if "die" in values:
            os.kill(os.getpid(), signal.SIGKILL)
        return [[value, len(items)] for value in values]
"""


def together(server: Server, bodies: Sequence[bytes], clients: int = 8) -> list[tuple[int, bytes]]:
    """The answers to `bodies`, which so many clients send, each one after the other."""
    answers: list[tuple[int, bytes]] = [(0, b"")] * len(bodies)
    waiting = iter(range(len(bodies)))
    lock = threading.Lock()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while True:
            with lock:
                at = next(waiting, None)
            if at is None:
                connection.close()
                return
            connection.request("POST", "/score", bodies[at], {"Content-Type": "application/json"})
            response = connection.getresponse()
            answers[at] = (response.status, response.read())

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def values(bodies: Sequence[Any]) -> list[bytes]:
    return [json.dumps(body).encode() for body in bodies]


def batching(server: Server) -> dict[str, Any]:
    report: dict[str, Any] = server.get("/readyz").json()["batching"]
    return report


@pytest.mark.parametrize("name", ["schema_numpy", "json_text_result", "unsafe_centred", "unsafe_state"])
def test_scripts_are_merged_when_they_are_safe(name: str, serve: Serve) -> None:
    """Of the corpus: all of it is driven through a worker alone elsewhere."""
    script = corpus_list.module(name)
    draw = random.Random(5)
    bodies = [body for _ in range(6) for body in script.bodies(draw)][:ENOUGH]
    server = serve(
        (corpus_list.FOLDER / f"{name}.py").read_text(), *BATCHING, env={"AZMLINFSRV_PROOF_DIR": "kept"}
    )
    assert {status for status, _ in together(server, bodies)} == {200}
    if script.SAFE:
        wait_for(lambda: batching(server)["state"] == "on")
        first = together(server, bodies, clients=1)
        again = together(server, bodies, clients=16)
        for (_, alone), (status, merged) in zip(first, again, strict=True):
            assert not difference(Answer(200, JSON, alone), Answer(status, JSON, merged))
    else:
        wait_for(lambda: batching(server)["state"] == "refused")
        report = batching(server)
        assert report["reason"] in server.log()
        assert os.path.exists(server.folder / report["repro"])


def test_each_caller_gets_its_own_answer_whatever_happens(serve: Serve) -> None:
    """Poison, a call that takes too long and a worker that dies, among many callers."""
    server = serve(ITEMS, *BATCHING, "--worker_count", "2", env={"SCORING_TIMEOUT_MS": "700"})
    asked: list[Any] = list(range(300))
    for at in (20, 90, 91, 200):
        asked[at] = "bad"
    asked[120] = "late"
    asked[150] = "die"
    answers = together(server, values(asked), clients=16)
    for value, (status, body) in zip(asked, answers, strict=True):
        if isinstance(value, int):
            assert status == 200, (value, status, body)
            assert json.loads(body)[0] == value
        else:
            assert status == 500
    sizes = Counter(json.loads(body)[1] for status, body in answers if status == 200)
    assert max(sizes) > 2
    log = server.log()
    assert log.count("ValueError: bad one (") >= 4  # each offender, with the place in the script


def all_serve(server: Server) -> bool:
    return {worker["state"] for worker in server.workers()} <= {"ready", "busy"}


def test_workers_that_are_killed_cost_no_caller_its_answer(serve: Serve) -> None:
    server = serve(ITEMS, *BATCHING, "--worker_count", "2")
    with Load(server, clients=12) as load:
        for _ in range(3):
            seen = len(load.replies)
            wait_for(lambda seen=seen: len(load.replies) > seen + 30)
            wait_for(lambda: all_serve(server), 20)
            pids = server.worker_pids()
            os.kill(pids[0], signal.SIGKILL)
            wait_for(lambda pids=pids: pids[0] not in server.worker_pids())
        seen = len(load.replies)
        wait_for(lambda: len(load.replies) > seen + 30)
    assert not load.errors
    assert all(value[0] == number for number, status, value in load.replies if status == 200)
    lost = [status for _, status, _ in load.replies if status != 200]
    assert len(lost) <= 3  # one that was alone in its call
    numbers = [number for number, _, _ in load.replies]
    assert len(set(numbers)) == len(numbers)


def test_re_execution_may_be_switched_off(serve: Serve) -> None:
    server = serve(ITEMS, *BATCHING, env={"AZMLINFSRV_BATCH_REEXECUTION": "false"})
    statuses: list[int] = []

    def spoiled() -> bool:
        statuses[:] = [status for status, _ in together(server, values([*range(15), "bad"]), clients=16)]
        return statuses.count(500) > 1

    wait_for(spoiled)
    assert set(statuses) <= {200, 500}  # all 16 may have been in that one call
