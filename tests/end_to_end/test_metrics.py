"""/metrics after known traffic."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from tests.end_to_end.conftest import Serve
from tests.end_to_end.running import Server, wait_for
from tests.end_to_end.talk import Talk, post
from tests.tools import require_tool

SCRIPT = """
    import json, os, time

    def init():
        pass

    def run(data):
        ask = json.loads(data)
        if ask == "die":
            os._exit(1)
        if ask == "raise":
            raise ValueError
        if ask == "stream":
            return iter(["x" * 1000] * 3)
        if isinstance(ask, float):
            time.sleep(ask)
        return ask
"""
NEGOTIATED = "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(server: Server) -> Samples:
    text = server.get("/metrics").body.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in prometheus(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples["azmlinfsrv_" + name, frozenset(labels.items())]


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    """Has had the traffic that the tests expect."""
    server = serve_module(SCRIPT, env={"SCORING_TIMEOUT_MS": "300"})
    for body in (1, 2, 3, 0.06, 0.06, 0.9, "raise", "die", "stream"):
        server.score(body)
    server.ask("PUT", "/score")
    for path in ("/", "/", "/swagger.json", "/unknown", "/unknown/too", "/livez"):
        server.get(path)
    server.raw(b"GET / HTTP/1.1\r\n\r\n")
    with Talk(server) as busy:
        busy.send(post(b"0.2"))
        wait_for(lambda: value(read(server), "workers", deployment="default", state="busy") == 1)
        waiting = Talk(server)
        waiting.send(post(b"1"))
        wait_for(lambda: value(read(server), "requests_queued", deployment="default") == 1)
        assert value(read(server), "requests_in_flight", deployment="default") == 2
        waiting.close()
        busy.reply()
    return server


def test_counts(server: Server) -> None:
    samples = read(server)

    def answered(route: str, status: int, deployment: str = "") -> float:
        return value(samples, "requests_total", deployment=deployment, route=route, status=str(status))

    assert answered("/score", 200, "default") == 3 + 2 + 1 + 1
    assert answered("/score", 500, "default") == 3
    assert answered("/score", 405, "default") == 1
    assert answered("/score", 499, "default") == 1
    assert answered("/", 200) == 2
    assert answered("/swagger.json", 200) == 1
    assert answered("/livez", 200) == 1
    assert answered("other", 404) == 2
    assert answered("refused", 400) == 1
    routes = {dict(labels)["route"] for name, labels in samples if name == "azmlinfsrv_requests_total"}
    assert routes == {"/score", "/", "/swagger.json", "/livez", "/readyz", "/metrics", "other", "refused"}


def test_durations(server: Server) -> None:
    samples = read(server)
    scored = {"deployment": "default"}
    count = value(samples, "request_duration_seconds_count", route="/score", **scored)
    assert count == 12
    assert value(samples, "request_duration_seconds_bucket", route="/score", le="+Inf", **scored) == count
    assert 0.6 < value(samples, "request_duration_seconds_sum", route="/score", **scored) < 10
    # run() gave a time where it gave an answer: not where it raised, died or passed its limit
    assert value(samples, "run_duration_seconds_count", **scored) == 7
    assert value(samples, "run_duration_seconds_bucket", le="0.05", **scored) == 4
    assert 0.3 < value(samples, "run_duration_seconds_sum", **scored) < 2
    assert value(samples, "queue_duration_seconds_count", **scored) == 10
    assert value(samples, "queue_duration_seconds_sum", **scored) < 5


def test_workers_and_bytes(server: Server) -> None:
    samples = read(server)
    scored = {"deployment": "default"}
    assert value(samples, "ready", **scored) == 1
    assert value(samples, "requests_in_flight", **scored) == 0
    assert value(samples, "requests_queued", **scored) == 0
    assert value(samples, "workers", state="ready", **scored) == 1
    assert value(samples, "workers", state="busy", **scored) == 0
    assert value(samples, "scoring_timeouts_total", **scored) == 1
    assert value(samples, "worker_restarts_total", reason="crashed", **scored) == 1
    # the bodies of nine scored, the one that was in hand, and the one that left
    bodies = ["1", "2", "3", "0.06", "0.06", "0.9", '"raise"', '"die"', '"stream"', "0.2", "1"]
    assert value(samples, "request_body_bytes_total", route="/score", **scored) == sum(map(len, bodies))
    assert value(samples, "response_bytes_total", route="/score", **scored) > 3000
    assert samples["process_resident_memory_bytes", frozenset()] > 1_000_000


def test_openmetrics_for_those_who_ask(server: Server) -> None:
    plain = server.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    asked = server.get("/metrics", headers={"Accept": NEGOTIATED})
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert asked.body.endswith(b"# EOF\n")
    names = {family.name for family in openmetrics(asked.body.decode())}
    assert {"azmlinfsrv_requests", "azmlinfsrv_request_duration_seconds"} <= names


@pytest.mark.system
def test_promtool_finds_nothing_to_complain_of(server: Server) -> None:
    promtool = require_tool("promtool", "prometheus")
    text = server.get("/metrics").body
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_route_can_be_left_out(serve: Serve) -> None:
    server = serve(SCRIPT, "--no_metrics")
    assert server.get("/metrics").status == 404
