"""Every name under which the server reports about itself, in one place.

Metrics are in Prometheus' base units; `docs/metrics.md` is this table in words. Label values are bounded:
a route is one of ours or "other", a status a number, states and reasons come from fixed lists.
"""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "azmlinfsrv_"


class Metric(NamedTuple):
    """One family of /metrics. A counter's samples end in `_total`, a histogram's in `_bucket`, `_sum`, `_count`."""

    name: str
    kind: str  # counter, gauge, histogram
    unit: str  # seconds, bytes; "": a plain number
    labels: tuple[str, ...]
    help: str


REQUESTS = Metric(
    "azmlinfsrv_requests",
    "counter",
    "",
    ("deployment", "route", "status"),
    "Requests answered, by HTTP status.",
)
LATENCY = Metric(
    "azmlinfsrv_request_duration_seconds",
    "histogram",
    "seconds",
    ("deployment", "route"),
    "Time from the arrival of a request to its answer.",
)
QUEUE = Metric(
    "azmlinfsrv_queue_duration_seconds",
    "histogram",
    "seconds",
    ("deployment",),
    "Time a scoring request waited for a worker.",
)
RUN = Metric(
    "azmlinfsrv_run_duration_seconds",
    "histogram",
    "seconds",
    ("deployment",),
    "Time run() took, as the worker measured it.",
)
RECEIVED = Metric(
    "azmlinfsrv_request_body_bytes",
    "counter",
    "bytes",
    ("deployment", "route"),
    "Bytes of request bodies, as received.",
)
SENT = Metric(
    "azmlinfsrv_response_bytes",
    "counter",
    "bytes",
    ("deployment", "route"),
    "Bytes of responses, their heads included.",
)
TIMEOUTS = Metric(
    "azmlinfsrv_scoring_timeouts",
    "counter",
    "",
    ("deployment",),
    "run() calls that passed SCORING_TIMEOUT_MS.",
)
RESTARTS = Metric(
    "azmlinfsrv_worker_restarts",
    "counter",
    "",
    ("deployment", "reason"),
    "Workers that were replaced, by reason.",
)
IN_FLIGHT = Metric(
    "azmlinfsrv_requests_in_flight",
    "gauge",
    "",
    ("deployment",),
    "Scoring requests accepted and not yet answered.",
)
QUEUED = Metric(
    "azmlinfsrv_requests_queued", "gauge", "", ("deployment",), "Scoring requests that wait for a worker."
)
READY = Metric(
    "azmlinfsrv_ready", "gauge", "", ("deployment",), "1 while a worker can take requests, else 0."
)
WORKERS = Metric("azmlinfsrv_workers", "gauge", "", ("deployment", "state"), "Workers, by state.")
DROPPED_LINES = Metric(
    "azmlinfsrv_log_lines_dropped",
    "counter",
    "",
    ("stream",),
    "Log lines dropped because nobody read the stream fast enough.",
)
BUILD = Metric(
    "azmlinfsrv_build_info", "gauge", "", ("python", "version"), "Always 1; its labels are the version."
)

METRICS = (
    REQUESTS,
    LATENCY,
    QUEUE,
    RUN,
    RECEIVED,
    SENT,
    TIMEOUTS,
    RESTARTS,
    IN_FLIGHT,
    QUEUED,
    READY,
    WORKERS,
    DROPPED_LINES,
    BUILD,
)

# Why a worker was replaced: the values of the label `reason` that are there from the start, at 0.
RESTART_REASONS = ("crashed", "killed", "max_requests", "rss")

# Upper bounds in seconds: half a millisecond, the least a request can take here, to five minutes.
DURATION_BOUNDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
