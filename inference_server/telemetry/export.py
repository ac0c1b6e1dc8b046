"""Facts about requests as OpenTelemetry spans and log records, in the shape Azure ML's telemetry has.

    table        what                     custom dimensions
    requests     one span a request       the thirteen of `OpenTelemetrySender.request`
    traces       model_data_collection    Container Id, the two request ids, Workspace Name, Service Name,
                                          Models, Input, Prediction
    exceptions   a failed init() or run() Container Id and the two request ids
    traces       a printed line           none

Only `telemetry/insights.py` imports this module, on its own thread: OpenTelemetry is an extra, and slow to
import.
"""

from __future__ import annotations

import codecs
import json
import logging
import os
import platform
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Protocol

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from inference_server.scoring import records
from inference_server.telemetry.insights import QUEUE_ITEMS, InsightsConfig, RecordFacts, RequestFacts

TEXT_LIMIT = 8192  # characters of one custom dimension
BATCH: dict[str, Any] = {
    "schedule_delay_millis": 5000,
    "max_export_batch_size": 100,
    "max_queue_size": QUEUE_ITEMS,
}
NO_TEXT = json.dumps("Scoring request response payload is a non serializable object or raw binary")
# What the Azure exporter reports to Microsoft about itself, and asks them: off, unless the user said so.
QUIET = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)

trace_logger = logging.getLogger("azmlinfsrv.trace")


class Exporters(Protocol):
    """Where the batches go: Azure, or any exporter OpenTelemetry has."""

    def spans(self, provider: TracerProvider) -> Any:
        """A SpanExporter for the spans of `provider`."""

    def logs(self) -> Any:
        """A LogRecordExporter."""


class OpenTelemetrySender:
    """The sender of `telemetry/insights.py` over OpenTelemetry's SDK."""

    def __init__(self, config: InsightsConfig, exporters: Exporters) -> None:
        self._config = config
        self._models = json.dumps(models_in(config.model_dir))
        resource = Resource.create({"service.name": config.service_name, **_process()})
        self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._spans.add_span_processor(BatchSpanProcessor(exporters.spans(self._spans), **BATCH))
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._logs.add_log_record_processor(BatchLogRecordProcessor(exporters.logs(), **BATCH))
        self._tracer = self._spans.get_tracer("azmlinfsrv")

    def request(self, facts: RequestFacts) -> None:
        """A span of kind SERVER, named by the path."""
        config = self._config
        ok = facts.status < 400
        fields: dict[str, Any] = {
            "Container Id": config.container_id,
            "Request Id": facts.request_id,
            "Client Request Id": facts.client_request_id,
            "name": facts.path,
            "url": facts.url,
            "start_time": iso(facts.started),
            "duration": duration(facts.duration_s),
            "resultCode": str(facts.status),
            "success": ok,
            "http_method": facts.method,
            "Workspace Name": config.workspace_name,
            "Service Name": config.service_name,
        }
        if config.log_response:
            fields["Response Value"] = text_of(facts.body)
        started = int(facts.started * 1e9)
        span = self._tracer.start_span(
            facts.path, context=Context(), kind=SpanKind.SERVER, attributes=fields, start_time=started
        )
        span.set_status(Status(StatusCode.OK if ok else StatusCode.ERROR))
        span.end(end_time=started + int(facts.duration_s * 1e9))

    def record(self, facts: RecordFacts) -> None:
        """A log record: model data, an exception, or a plain trace."""
        entry, config = facts.entry, self._config
        fields: dict[str, str] = {}
        name, exception = entry["logger"], entry.get("exception")
        if name == records.MODEL_DATA or exception is not None:
            fields["Container Id"] = config.container_id
            fields["Request Id"] = facts.request_id
            fields["Client Request Id"] = facts.client_request_id
        if name == records.MODEL_DATA:
            fields["Workspace Name"] = config.workspace_name
            fields["Service Name"] = config.service_name
            fields["Models"] = self._models
            fields.update({key: str(value)[:TEXT_LIMIT] for key, value in entry["extra"].items()})
        if exception is not None:  # the exporter reads these into the table's own columns
            fields["exception.type"] = exception["type"]
            fields["exception.message"] = exception["message"]
            fields["exception.stacktrace"] = exception["stacktrace"]
        level = entry["level"]
        self._logs.get_logger(name).emit(
            timestamp=int(entry["time"] * 1e9),
            context=Context(),
            severity_number=_SEVERITIES.get(level, SeverityNumber.INFO),
            severity_text=level,
            body=entry["message"],
            attributes=fields,
        )

    def shutdown(self) -> None:
        """Send what waits; spans and logs side by side, so that one does not use up the other's time."""
        other = threading.Thread(target=self._spans.shutdown, name="insights-spans", daemon=True)
        other.start()
        self._logs.shutdown()
        other.join()


class _AzureExporters:
    def __init__(self, connection: str) -> None:
        self._connection = connection

    def spans(self, provider: TracerProvider) -> Any:
        from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter

        return AzureMonitorTraceExporter(connection_string=self._connection, tracer_provider=provider)

    def logs(self) -> Any:
        from azure.monitor.opentelemetry.exporter import AzureMonitorLogExporter

        return AzureMonitorLogExporter(connection_string=self._connection)


def azure_exporters(instrumentation_key: str) -> Exporters:
    """Azure Monitor's exporters for a key.

    They take the ingestion endpoint, where it is not Azure's public one, from the variable
    APPLICATIONINSIGHTS_CONNECTION_STRING.
    """
    for name in QUIET:
        os.environ.setdefault(name, "true")
    return _AzureExporters(f"InstrumentationKey={instrumentation_key}")


_SEVERITIES = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "CRITICAL": SeverityNumber.FATAL,
}


def text_of(body: bytes | None) -> str:
    """A response body, or its beginning, as text; a fixed JSON string where it is none or was streamed."""
    if body is None:
        return NO_TEXT
    try:
        # Incremental, so that a character that was cut in two is left out rather than wrong.
        return codecs.getincrementaldecoder("utf-8")().decode(body)[:TEXT_LIMIT]
    except UnicodeDecodeError:
        return NO_TEXT


def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, ended by Z."""
    return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None).isoformat() + "Z"


def duration(seconds: float) -> str:
    """`hh:mm:ss.mmm`, with the days and a dot before it when there are any."""
    whole = timedelta(milliseconds=round(seconds * 1000))
    minutes, second = divmod(whole.seconds, 60)
    hour, minute = divmod(minutes, 60)
    days = f"{whole.days}." if whole.days else ""
    return f"{days}{hour:02d}:{minute:02d}:{second:02d}.{whole.microseconds // 1000:03d}"


def models_in(model_dir: str) -> list[str]:
    """The `name:version` of each model in the model directory.

    A directory whose last part is a number is one model's version, and its parent the name; else it holds
    `name/version` directories. A missing directory is no model, and a warning.
    """
    path = Path(model_dir)
    if not model_dir or not path.is_dir():
        trace_logger.warning("Model directory is not set or does not exist: %s", model_dir)
        return []
    if path.name.isdigit():
        return [f"{path.parent.name}:{path.name}"]
    return [
        f"{name.name}:{version.name}"
        for name in sorted(path.iterdir())
        if name.is_dir()
        for version in sorted(name.iterdir())
        if version.is_dir()
    ]


def _process() -> dict[str, str | int]:
    """The process, for the resource; not its command line, which may hold keys."""
    return {
        "process.pid": os.getpid(),
        "process.executable.name": Path(sys.executable).name,
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
    }
