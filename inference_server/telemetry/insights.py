"""Application Insights: requests, failures, model data and printed lines, sent from the front.

The event loop only appends to a bounded queue. A thread of its own imports OpenTelemetry (a second of work),
turns what was noted into spans and log records (`telemetry/export.py`) and hands them to OpenTelemetry's
batching, which has threads of its own again. Whatever fails there is logged and costs telemetry, never a
request. Without the extra `azmlinfsrv[telemetry]` one line says so and the server runs on.
"""

from __future__ import annotations

import importlib.util
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

logger = logging.getLogger("azmlinfsrv")

QUEUE_ITEMS = 2048
BODY_BYTES = 32768  # kept of a response: Application Insights shows 8192 characters, each of 4 bytes at most
COMPLAIN_SECONDS = 60.0
UNKNOWN = "Unknown"  # the request id of what belongs to no request
NEEDS = ("opentelemetry.sdk", "azure.monitor.opentelemetry.exporter")


class InsightsConfig(NamedTuple):
    """What the telemetry of this server says about it."""

    instrumentation_key: str
    service_name: str = "ML service"
    workspace_name: str = ""
    container_id: str = UNKNOWN
    model_dir: str = ""
    log_response: bool = True  # the request's telemetry carries the response body


class RequestFacts(NamedTuple):
    """One answered request."""

    path: str  # without the query
    url: str
    method: str
    status: int
    started: float  # seconds since the epoch
    duration_s: float
    request_id: str
    client_request_id: str
    body: bytes | None  # None: the answer was streamed


class RecordFacts(NamedTuple):
    """What a worker reported, as `scoring/records.py` describes it, and whose request it was about."""

    entry: Mapping[str, Any]
    request_id: str
    client_request_id: str


class Sender(Protocol):
    """Where the facts go; lives on the thread of `Insights` and may wait there."""

    def request(self, facts: RequestFacts) -> None:
        """Send a request."""

    def record(self, facts: RecordFacts) -> None:
        """Send a record of a worker."""

    def shutdown(self) -> None:
        """Send what is waiting and stop; may take as long as the network does."""


class Insights:
    """The door to Application Insights. `connect` makes the sender, on this object's own thread."""

    def __init__(self, config: InsightsConfig, connect: Callable[[InsightsConfig], Sender]) -> None:
        self.dropped = 0
        self._config = config
        self._connect = connect
        self._queue: queue.SimpleQueue[RequestFacts | RecordFacts | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="insights", daemon=True)
        self._thread.start()

    def request(
        self,
        path: str,
        url: str,
        method: str,
        status: int,
        started: float,
        duration_s: float,
        request_id: str,
        client_request_id: str,
        body: bytes | None,
    ) -> None:
        """Note an answered request: every one on a known path except `/`. Fields as in `RequestFacts`."""
        if not self._config.log_response:
            body = b""
        elif body is not None and len(body) > BODY_BYTES:
            body = body[:BODY_BYTES]
        self._note(
            RequestFacts(path, url, method, status, started, duration_s, request_id, client_request_id, body)
        )

    def record(
        self, entry: Mapping[str, Any], request_id: str = UNKNOWN, client_request_id: str = ""
    ) -> None:
        """Note what a worker reported; the ids are those of the request it was working on."""
        self._note(RecordFacts(entry, request_id, client_request_id))

    def shutdown(self, timeout: float) -> bool:
        """Send what is waiting, for at most `timeout` seconds; False when that was too short.

        Waits, so it is not for the event loop's thread while requests are served.
        """
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _note(self, facts: RequestFacts | RecordFacts) -> None:
        if self._queue.qsize() >= QUEUE_ITEMS:
            self.dropped += 1
        else:
            self._queue.put(facts)

    def _work(self) -> None:
        try:
            sender = self._connect(self._config)
        except Exception as error:
            logger.error(
                "Application Insights is off, its set-up failed: %s: %s", type(error).__name__, error
            )
            sender = _Nowhere()
        told, told_at = 0, 0.0
        while (facts := self._queue.get()) is not None:
            try:
                if isinstance(facts, RequestFacts):
                    sender.request(facts)
                else:
                    sender.record(facts)
            except Exception:
                logger.exception("Application Insights could not be given a record")
            if self.dropped > told and time.monotonic() - told_at > COMPLAIN_SECONDS:
                logger.warning("Application Insights is too slow: %d records dropped", self.dropped - told)
                told, told_at = self.dropped, time.monotonic()
        sender.shutdown()


class _Nowhere:
    """The sender after a failed set-up."""

    def request(self, facts: RequestFacts) -> None:
        """Dropped."""

    def record(self, facts: RecordFacts) -> None:
        """Dropped."""

    def shutdown(self) -> None:
        """Nothing waits."""


def open_insights(config: InsightsConfig) -> Insights | None:
    """Start sending to Azure; None, and one line in the log, without the packages that needs.

    Never waits for the network: what cannot be delivered is retried and at last dropped.
    """
    for name in NEEDS:
        if not _installed(name):
            logger.error(
                "Application Insights is off: the package %s is missing. "
                "Install the extra with: pip install 'azmlinfsrv[telemetry]'",
                name.replace(".", "-"),
            )
            return None
    return Insights(config, _connect_to_azure)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # a parent package is missing
        return False


def _connect_to_azure(config: InsightsConfig) -> Sender:
    from inference_server.telemetry.export import OpenTelemetrySender, azure_exporters

    return OpenTelemetrySender(config, azure_exporters(config.instrumentation_key))
