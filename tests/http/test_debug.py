from __future__ import annotations

import json
from typing import cast

import pytest

from inference_server.http import debug
from inference_server.lifecycle import ServerState
from inference_server.messages import Answer, Head, HealthReport, NoIds, ScoringRequest
from inference_server.telemetry.access import about
from inference_server.telemetry.metrics import DeploymentMetrics

HERE = {"host": "127.0.0.1:5001"}


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("127.0.0.1", HERE),
        ("127.8.9.1", {"host": "localhost"}),
        ("::1", {"host": "[::1]:5001"}),
        ("::ffff:127.0.0.1", {"host": "LOCALHOST:80"}),
    ],
)
def test_who_sits_at_the_machine_may_look(peer: str, headers: dict[str, str]) -> None:
    assert debug.permitted(peer, headers)


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.7", HERE),
        ("::ffff:10.0.0.7", HERE),
        ("2001:db8::1", {"host": "[::1]"}),
        ("", HERE),
        ("testclient", HERE),
        ("127.0.0.1", {}),
        ("127.0.0.1", {"host": ""}),
        ("127.0.0.1", {"host": "models.example.com"}),  # a page that had its own name lead here
        ("127.0.0.1", {"host": "127.0.0.1.example.com"}),
        ("127.0.0.1", {**HERE, "x-forwarded-for": "10.0.0.7"}),
        ("127.0.0.1", {**HERE, "forwarded": "for=10.0.0.7"}),
        ("127.0.0.1", {**HERE, "via": "1.1 gateway"}),
        ("127.0.0.1", {**HERE, "x-real-ip": "10.0.0.7"}),
        ("127.0.0.1", {**HERE, "origin": "null"}),
    ],
)
def test_nobody_else_may(peer: str, headers: dict[str, str]) -> None:
    assert not debug.permitted(peer, headers)


def test_what_it_says() -> None:
    report = HealthReport(ServerState.READY, "1 of 1 worker(s) serve", True, 2, ())
    scored = DeploymentMetrics("blue", lambda: 5, lambda: report)
    line = about("h", b"POST /score HTTP/1.1", b"", b"")
    for number in range(300):
        ids = NoIds(f"r{number}", "c")
        request = ScoringRequest(cast(Head, None), [b"secret"], 6, 1.0, lambda answer: None, ids)
        request.sent = 1.0
        answer = Answer(200, b"secret", headers=b"X-Secret: 1\r\n", exec_ms=1.0)
        scored.count([(line, 200, 6, 0, True, 0.002, 20, request, answer, 0.0)])

    def asked(**query: str) -> dict[str, object]:
        body = debug.answer(report, scored, query).body
        assert b"ecret" not in body
        found: dict[str, object] = json.loads(body)
        return found

    def ids(**query: str) -> list[str]:
        requests = cast("list[dict[str, str]]", asked(**query)["requests"])
        return [request["id"] for request in requests]

    found = asked()
    assert (found["finished"], found["in_flight"], found["queued"]) == (300, 5, 2)
    assert found["statuses"] == {"200": 300}
    assert len(ids()) == debug.KEPT
    assert ids()[-1] == "r299"
    assert ids(since="298") == ["r298", "r299"]
    assert ids(since="0", most="1") == ["r299"]
    assert ids(since="300") == ids(most="0") == []
    assert len(ids(most="²", since="-1")) == debug.KEPT, "no number: as if not said"
    assert len(ids(most="1000")) == debug.KEPT
    assert len(ids(most="10")) == 10
