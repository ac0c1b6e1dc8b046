from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inference_server.lifecycle import ServerState, WorkerState
from inference_server.messages import Answer, Head, HealthReport, ScoringRequest, WorkerReport
from inference_server.telemetry import names
from inference_server.telemetry.access import Entry, about
from inference_server.telemetry.metrics import DeploymentMetrics, Metrics
from tests.tools import ROOT, require_tool


def report(*states: WorkerState, queued: int = 0) -> HealthReport:
    workers = tuple(WorkerReport(n, 100 + n, state, 1.0, 0, "", "") for n, state in enumerate(states, 1))
    return HealthReport(ServerState.READY, "ready", True, queued, workers)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", lambda: {"stdout": 4})


@pytest.fixture
def blue(metrics: Metrics) -> DeploymentMetrics:
    return metrics.deployment(
        "blue", lambda: 7, lambda: report(WorkerState.BUSY, WorkerState.READY, queued=3)
    )


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and label values, in the labels' order."""
    return {
        ",".join([sample.name, *(sample.labels[key] for key in sorted(sample.labels))]): sample.value
        for family in text_string_to_metric_families(metrics.render()[0].decode())
        for sample in family.samples
    }


def scored(
    status: int, seconds: float, queued: float | None, run_ms: float | None, bytes_in: int, bytes_out: int
) -> Entry:
    """What a scoring request leaves in the ledger; `queued` None: it never reached a worker."""
    request = ScoringRequest(cast(Head, None), [], bytes_in, 1.0, lambda answer: None)
    request.sent = 1.0 + queued if queued is not None else 0.0
    answer = Answer(status, b"", exec_ms=run_ms)
    return (
        about("h", b"POST /score HTTP/1.1", b"", b""),
        status,
        0,
        0,
        True,
        seconds,
        bytes_out,
        request,
        answer,
        0.0,
    )


def test_an_answer_is_counted_everywhere(metrics: Metrics, blue: DeploymentMetrics) -> None:
    blue.count([scored(200, 0.004, 0.0002, 3, 120, 30), scored(200, 0.02, 0.001, 10, 80, 30)])
    blue.count([scored(503, 0.0001, None, None, 10, 0)])
    metrics.route("/swagger.json").answered(200, 0.001, bytes_out=500)
    metrics.route("/swagger.json").answered(404, 0.001)
    seen = samples(metrics)
    assert seen["azmlinfsrv_requests_total,blue,/score,200"] == 2
    assert seen["azmlinfsrv_requests_total,blue,/score,503"] == 1
    assert seen["azmlinfsrv_requests_total,,/swagger.json,404"] == 1
    assert seen["azmlinfsrv_request_duration_seconds_count,blue,/score"] == 3
    assert seen["azmlinfsrv_request_duration_seconds_sum,blue,/score"] == pytest.approx(0.0241)
    assert seen["azmlinfsrv_request_duration_seconds_bucket,blue,0.0005,/score"] == 1
    assert seen["azmlinfsrv_request_duration_seconds_bucket,blue,0.005,/score"] == 2
    assert seen["azmlinfsrv_request_duration_seconds_bucket,blue,+Inf,/score"] == 3
    assert seen["azmlinfsrv_queue_duration_seconds_count,blue"] == 2
    assert seen["azmlinfsrv_queue_duration_seconds_bucket,blue,0.001"] == 2, "a bound belongs to its bucket"
    assert seen["azmlinfsrv_run_duration_seconds_sum,blue"] == pytest.approx(0.013)
    assert seen["azmlinfsrv_request_body_bytes_total,blue,/score"] == 210
    assert seen["azmlinfsrv_response_bytes_total,,/swagger.json"] == 500


def test_routes_are_few(metrics: Metrics) -> None:
    assert metrics.route("/") is metrics.route("/")
    for number in range(1000):
        metrics.route(f"/{number}").answered(200, 0.001)
    assert len(metrics._routes) <= 101
    assert samples(metrics)["azmlinfsrv_requests_total,,other,200"] == 901


def test_gauges_are_asked_when_read(metrics: Metrics, blue: DeploymentMetrics) -> None:
    blue.timed_out()
    blue.restarted("crashed")
    seen = samples(metrics)
    assert seen["azmlinfsrv_requests_in_flight,blue"] == 7
    assert seen["azmlinfsrv_requests_queued,blue"] == 3
    assert seen["azmlinfsrv_ready,blue"] == 1
    assert [seen[f"azmlinfsrv_workers,blue,{state}"] for state in ("ready", "busy", "stalled")] == [1, 1, 0]
    assert seen["azmlinfsrv_scoring_timeouts_total,blue"] == 1
    assert seen["azmlinfsrv_worker_restarts_total,blue,crashed"] == 1
    assert seen["azmlinfsrv_worker_restarts_total,blue,rss"] == 0
    assert seen["azmlinfsrv_log_lines_dropped_total,stdout"] == 4
    assert any(name.startswith("azmlinfsrv_build_info,") and name.endswith(",1.2.3") for name in seen)
    assert seen["process_open_fds"] > 0


def test_the_format_follows_the_accept_header(metrics: Metrics, blue: DeploymentMetrics) -> None:
    blue.count([scored(200, 0.004, None, None, 0, 0)])
    text, kind = metrics.render()
    assert kind.startswith("text/plain; version=0.0.4")
    assert text.endswith(b"\n")
    text, kind = metrics.render("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_names_are_as_prometheus_wants_them(metrics: Metrics, blue: DeploymentMetrics) -> None:
    assert len({metric.name for metric in names.METRICS}) == len(names.METRICS)
    for metric in names.METRICS:
        assert metric.name.startswith(names.PREFIX)
        assert not metric.name.endswith("_total"), "the library adds it"
        assert metric.help.endswith(".")
        assert not metric.unit or metric.name.endswith("_" + metric.unit)
    served = {family.name for family in metrics.collect()}
    assert served == {metric.name for metric in names.METRICS}


def test_every_metric_is_documented() -> None:
    text = Path(ROOT, "docs", "metrics.md").read_text()
    for metric in names.METRICS:
        name = metric.name + ("_total" if metric.kind == "counter" else "")
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` ")]
        assert metric.kind in line
        assert metric.help.rstrip(".") in line
        assert all(f"`{label}`" in line for label in metric.labels)


@pytest.mark.system
def test_promtool_accepts_the_page(metrics: Metrics, blue: DeploymentMetrics) -> None:
    promtool = require_tool("promtool", "prometheus")
    blue.count([scored(200, 0.004, 0.0002, 3, 120, 30)])
    metrics.route("/").answered(200, 0.001)
    done = subprocess.run([promtool, "check", "metrics"], input=metrics.render()[0], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
