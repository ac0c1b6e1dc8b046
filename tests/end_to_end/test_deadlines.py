"""How long a request may wait and how many may: deadlines of its own, and the bounds of the queue."""

from __future__ import annotations

import time
from pathlib import Path

from tests.end_to_end.conftest import Serve
from tests.end_to_end.load import Asking
from tests.end_to_end.running import Server, wait_for

SCRIPT = """
    import json, time

    def init():
        pass

    def run(data):
        value = json.loads(data)
        with open("ran", "a") as file:
            file.write(value["name"] + " ")
        time.sleep(value.get("sleep", 0))
        return value["name"]
"""

LATE = {"message": "The request was not answered before its deadline."}


def ran(server: Server) -> list[str]:
    path = Path(server.folder / "ran")
    return path.read_text().split() if path.exists() else []


def queued(server: Server) -> int:
    return int(server.get("/readyz").json()["queued"])


def test_a_request_that_waits_too_long_is_answered_in_time_and_never_run(serve: Serve) -> None:
    server = serve(SCRIPT)
    holds = Asking(server, {"name": "holds", "sleep": 1.5})
    wait_for(lambda: ran(server) == ["holds"])
    began = time.monotonic()
    late = Asking(server, {"name": "late"}, {"x-ms-request-timeout-ms": "300"})
    patient = Asking(server, {"name": "patient"}, {"x-ms-request-timeout-ms": "60000"})
    reply = late.reply()
    assert 0.29 < time.monotonic() - began < 1.2
    assert (reply.status, reply.json()) == (408, LATE)
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert holds.reply().json() == "holds"
    assert patient.reply().json() == "patient"
    assert ran(server) == ["holds", "patient"]

    # one that is being run already is answered at its deadline too; the worker goes on until run() is done
    began = time.monotonic()
    reply = server.score({"name": "runs", "sleep": 1}, {"x-ms-request-timeout-ms": "200"})
    assert reply.status == 408
    assert time.monotonic() - began < 0.9
    assert server.score({"name": "next"}).json() == "next"
    assert server.workers()[0]["restarts"] == 0


def test_the_servers_own_deadline_holds_for_all_and_a_request_may_only_shorten_it(serve: Serve) -> None:
    server = serve(SCRIPT, "--request_timeout_ms", "400")
    assert server.score({"name": "quick"}).json() == "quick"
    began = time.monotonic()
    reply = server.score({"name": "slow", "sleep": 1}, {"x-ms-request-timeout-ms": "60000"})
    assert (reply.status, reply.json()) == (408, LATE)
    assert 0.39 < time.monotonic() - began < 0.95
    reply = server.score({"name": "behind"}, {"x-ms-request-timeout-ms": "10"})  # the worker still runs
    assert reply.status == 408


def test_a_full_queue_refuses_with_503_and_says_when_to_come_back(serve: Serve) -> None:
    server = serve(SCRIPT, "--max_queue_size", "2", "--max_queue_bytes", "1000")
    holds = Asking(server, {"name": "holds", "sleep": 1.5})
    wait_for(lambda: ran(server) == ["holds"])
    waiting = [Asking(server, {"name": "first"})]
    wait_for(lambda: queued(server) == 1)
    refused = server.score({"name": "large", "more": "x" * 1000})
    assert refused.status == 503
    waiting.append(Asking(server, {"name": "second"}))
    wait_for(lambda: queued(server) == 2)
    began = time.monotonic()
    refused = server.score({"name": "third"})
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "as many waiting requests" in refused.json()["message"]
    assert time.monotonic() - began < 0.5
    assert holds.reply().status == 200
    assert [each.reply().json() for each in waiting] == ["first", "second"]
    assert ran(server) == ["holds", "first", "second"]
    assert server.score({"name": "again"}).json() == "again"
