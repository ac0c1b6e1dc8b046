from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from inference_server.scoring import records
from inference_server.telemetry.insights import (
    BODY_BYTES,
    QUEUE_ITEMS,
    UNKNOWN,
    Insights,
    InsightsConfig,
    RecordFacts,
    RequestFacts,
    open_insights,
)
from tests.telemetry.ingestion import ingestion, require_extra
from tests.tools import ROOT

KEY = "01234567-89ab-cdef-0123-456789abcdef"
CONFIG = InsightsConfig(KEY, "my service", "my workspace", "container-1")
IDS = {"Container Id", "Request Id", "Client Request Id"}


def request(insights: Insights, **changed: Any) -> None:
    facts: dict[str, Any] = {
        "path": "/score",
        "url": "http://127.0.0.1:5001/score?a=1",
        "method": "POST",
        "status": 200,
        "started": 1767225600.25,
        "duration_s": 0.0421,
        "request_id": "r-1",
        "client_request_id": "c-1",
        "body": b'{"ok": true}',
    }
    insights.request(**(facts | changed))


class Memory:
    """OpenTelemetry's own in-memory exporters."""

    def __init__(self) -> None:
        from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.span_exporter = InMemorySpanExporter()
        self.log_exporter = InMemoryLogRecordExporter()

    def spans(self, provider: Any) -> Any:
        return self.span_exporter

    def logs(self) -> Any:
        return self.log_exporter

    def connect(self, config: InsightsConfig) -> Any:
        from inference_server.telemetry.export import OpenTelemetrySender

        return OpenTelemetrySender(config, self)


@pytest.fixture
def memory() -> Memory:
    require_extra()
    return Memory()


def test_a_request_is_a_server_span_with_exactly_the_named_fields(memory: Memory) -> None:
    insights = Insights(CONFIG, memory.connect)
    request(insights)
    assert insights.shutdown(10)
    (span,) = memory.span_exporter.get_finished_spans()
    assert (span.name, span.kind.name) == ("/score", "SERVER")
    assert span.end_time - span.start_time == 42_100_000
    assert dict(span.attributes) == {
        "Container Id": "container-1",
        "Request Id": "r-1",
        "Client Request Id": "c-1",
        "Response Value": '{"ok": true}',
        "name": "/score",
        "url": "http://127.0.0.1:5001/score?a=1",
        "start_time": "2026-01-01T00:00:00.250000Z",
        "duration": "00:00:00.042",
        "resultCode": "200",
        "success": True,
        "http_method": "POST",
        "Workspace Name": "my workspace",
        "Service Name": "my service",
    }
    resource = span.resource.attributes
    assert resource["service.name"] == "my service"
    assert resource["process.pid"] == os.getpid()
    assert not any("command" in name for name in resource), "a command line may hold keys"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"\xff\xfe", '"Scoring request response payload is a non serializable object or raw binary"'),
        (None, '"Scoring request response payload is a non serializable object or raw binary"'),
        ("é".encode() * BODY_BYTES, "é" * 8192),
        (b"x" + "é".encode() * BODY_BYTES, "x" + "é" * 8191),  # cut in the middle of a character
    ],
)
def test_the_response_is_text_or_a_fixed_sentence(memory: Memory, body: bytes | None, shown: str) -> None:
    insights = Insights(CONFIG, memory.connect)
    request(insights, body=body, status=404)
    assert insights.shutdown(10)
    (span,) = memory.span_exporter.get_finished_spans()
    assert span.attributes["Response Value"] == shown
    assert span.attributes["success"] is False


def test_the_response_can_be_kept_out(memory: Memory) -> None:
    insights = Insights(CONFIG._replace(log_response=False), memory.connect)
    request(insights)
    assert insights.shutdown(10)
    (span,) = memory.span_exporter.get_finished_spans()
    assert "Response Value" not in span.attributes


def test_model_data_has_exactly_eight_dimensions(memory: Memory, tmp_path: Path) -> None:
    (tmp_path / "iris" / "3").mkdir(parents=True)
    insights = Insights(CONFIG._replace(model_dir=str(tmp_path / "iris" / "3")), memory.connect)
    insights.record(records.of_model_data({"data": [1, 2]}, [0.5]), "r-1", "c-1")
    assert insights.shutdown(10)
    (log,) = memory.log_exporter.get_finished_logs()
    assert log.log_record.body == "model_data_collection"
    assert dict(log.log_record.attributes) == {
        "Container Id": "container-1",
        "Request Id": "r-1",
        "Client Request Id": "c-1",
        "Workspace Name": "my workspace",
        "Service Name": "my service",
        "Models": '["iris:3"]',
        "Input": '{"data": [1, 2]}',
        "Prediction": "[0.5]",
    }


def test_an_exception_at_init_has_an_unknown_request(memory: Memory) -> None:
    try:
        raise ValueError("no such model")
    except ValueError as error:
        entry = records.of_exception(error)
    insights = Insights(CONFIG, memory.connect)
    insights.record(json.loads(json.dumps(entry)))
    assert insights.shutdown(10)
    (log,) = memory.log_exporter.get_finished_logs()
    fields = dict(log.log_record.attributes)
    assert fields.pop("exception.type") == "ValueError"
    assert fields.pop("exception.message") == "no such model"
    assert "test_insights.py" in fields.pop("exception.stacktrace")
    assert fields == {"Container Id": "container-1", "Request Id": UNKNOWN, "Client Request Id": ""}


def test_a_full_queue_drops_and_counts_instead_of_waiting() -> None:
    import threading

    gate, seen = threading.Event(), []

    class Slow:
        def request(self, facts: RequestFacts) -> None:
            gate.wait(10)
            seen.append(facts)

        def record(self, facts: RecordFacts) -> None:
            raise RuntimeError("a sender may fail")

        def shutdown(self) -> None:
            pass

    insights = Insights(CONFIG, lambda config: Slow())
    began = time.monotonic()
    for _ in range(QUEUE_ITEMS + 100):
        request(insights)
    assert time.monotonic() - began < 1
    assert 99 <= insights.dropped <= 100
    assert insights.shutdown(0.01) is False
    gate.set()
    assert insights.shutdown(10)
    assert len(seen) == QUEUE_ITEMS + 100 - insights.dropped


def test_a_failing_set_up_is_logged_and_not_fatal(caplog: pytest.LogCaptureFixture) -> None:
    def connect(config: InsightsConfig) -> Any:
        raise RuntimeError("no exporter here")

    insights = Insights(CONFIG, connect)
    request(insights)
    assert insights.shutdown(5)
    assert "set-up failed: RuntimeError: no exporter here" in caplog.text


def test_the_real_exporter_sends_all_three_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require_extra()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ingestion() as azure:
        monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", azure.connection_string(KEY))
        insights = open_insights(CONFIG._replace(model_dir=str(tmp_path / "none")))
        assert insights is not None
        request(insights)
        insights.record(records.of_model_data("[1]", {"ok": True}), "r-1", "c-1")
        insights.record(records.of_exception(ValueError("boom")), "r-2", "c-2")
        insights.record({"logger": "azmlinfsrv.print", "level": "INFO", "message": "hi", "time": 1.0})
        assert insights.shutdown(30)
        (sent,) = azure.wait_for("RequestData", 1)
        assert (sent["name"], sent["success"]) == ("/score", True)
        assert sent["properties"]["resultCode"] == "200"
        (failure,) = azure.of("ExceptionData")
        assert failure["exceptions"][0]["typeName"] == "ValueError"
        assert set(failure["properties"]) - {"logger_name"} == IDS
        traces = {item["message"]: item["properties"] for item in azure.of("MessageData")}
        assert traces["hi"] == {"logger_name": "azmlinfsrv.print"}
        assert traces["model_data_collection"]["Models"] == "[]"
        assert len(traces["model_data_collection"]) == 8 + 1
        assert all(item["iKey"] == KEY for item in azure.items)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_the_extra_one_line_says_so() -> None:
    done = run(
        """
        import sys
        sys.modules["opentelemetry"] = None
        from inference_server.telemetry import logs, insights
        logs.setup(None, "INFO")
        assert insights.open_insights(insights.InsightsConfig("k")) is None
        """
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "opentelemetry-sdk is missing" in line
    assert "pip install 'azmlinfsrv[telemetry]'" in line


def test_a_start_and_a_stop_without_network_are_bounded(tmp_path: Path) -> None:
    require_extra()
    done = run(
        f"""
        import time
        from inference_server.telemetry import logs, insights
        logs.setup(None, "INFO")
        began = time.monotonic()
        door = insights.open_insights(insights.InsightsConfig("{KEY}"))
        door.request("/score", "u", "POST", 200, time.time(), 0.1, "r", "c", b"x")
        started = time.monotonic() - began
        began = time.monotonic()
        door.shutdown(2.0)
        print("DONE", started < 1.0, time.monotonic() - began < 3.0)
        """,
        APPLICATIONINSIGHTS_CONNECTION_STRING=f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:9",
        TMPDIR=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "DONE True True" in done.stdout
