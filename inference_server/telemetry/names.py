"""Every name under which the server reports about itself, in one place.

Metrics are in Prometheus' base units; `docs/metrics.md` is this table in words. Label values are bounded:
a route is one of ours or "other", a status a number, states and reasons come from fixed lists.
"""

from __future__ import annotations

from typing import NamedTuple

from inference_server.scoring import wire

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
PHASE = Metric(
    "azmlinfsrv_phase_seconds",
    "histogram",
    "seconds",
    ("deployment", "phase"),
    "Time a scoring request spent in each phase.",
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
BATCHES = Metric(
    "azmlinfsrv_batches",
    "counter",
    "",
    ("deployment", "reason"),
    "run() calls of workers that batch, by why they held no more.",
)
BATCH_ROWS = Metric("azmlinfsrv_batch_rows", "histogram", "", ("deployment",), "Rows in one run() call.")
BATCH_REQUESTS = Metric(
    "azmlinfsrv_batch_requests", "histogram", "", ("deployment",), "Requests in one run() call."
)
BATCH_SECONDS = Metric(
    "azmlinfsrv_batch_duration_seconds",
    "histogram",
    "seconds",
    ("deployment",),
    "Time a batch occupied its worker: decoding, run() and encoding.",
)
BATCHING = Metric(
    "azmlinfsrv_batching", "gauge", "", ("deployment", "state"), "1 for the state batching is in, else 0."
)
RERUN = Metric(
    "azmlinfsrv_requests_rerun",
    "counter",
    "",
    ("deployment",),
    "Requests run once more, each alone, because their worker died or hung while it ran them together.",
)
REFUSED = Metric(
    "azmlinfsrv_requests_refused",
    "counter",
    "",
    ("deployment", "reason"),
    "Scoring requests refused with 429, by reason.",
)
WAIT_ERROR = Metric(
    "azmlinfsrv_wait_prediction_error_ratio",
    "gauge",
    "ratio",
    ("deployment",),
    "Relative error that nine of ten predicted waits stayed under; 0 while none was predicted.",
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
RECORDED = Metric(
    "azmlinfsrv_requests_recorded",
    "counter",
    "",
    ("outcome",),
    "Requests to be kept by --record, by what became of them.",
)
BUILD = Metric(
    "azmlinfsrv_build_info", "gauge", "", ("python", "version"), "Always 1; its labels are the version."
)

METRICS = (
    REQUESTS,
    LATENCY,
    QUEUE,
    RUN,
    PHASE,
    RECEIVED,
    SENT,
    TIMEOUTS,
    RESTARTS,
    BATCHES,
    BATCH_ROWS,
    BATCH_REQUESTS,
    BATCH_SECONDS,
    BATCHING,
    RERUN,
    REFUSED,
    WAIT_ERROR,
    IN_FLIGHT,
    QUEUED,
    READY,
    WORKERS,
    DROPPED_LINES,
    RECORDED,
    BUILD,
)

# Where the time of a request goes, in this order; see telemetry.phases.
PHASES = ("parse", "queue", "channel", "decode", "run", "encode", "write")

# Why a worker was replaced: the values of the label `reason` that are there from the start, at 0.
RESTART_REASONS = ("crashed", "killed", "max_requests", "rss")

# Why a run() call of several requests held no more, by the numbers that workers send: see scoring.wire.
BATCH_REASONS = {
    wire.FULL: "full",
    wire.IDLE: "idle",
    wire.DEADLINE: "deadline",
    wire.SHAPE: "shape",
    wire.DRAIN: "drain",
    wire.BYTES: "bytes",
    wire.SPLIT: "split",
    wire.PROVING: "proving",
}
BATCHING_STATES = ("off", "proving", "on", "refused")
REFUSALS = ("deadline", "wait", "concurrency")

# Upper bounds of counts.
COUNT_BOUNDS = tuple(float(2**power) for power in range(13))

# Upper bounds in seconds: half a millisecond, the least a request can take here, to five minutes.
DURATION_BOUNDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
# Of the parts of a request, many of which take microseconds.
PHASE_BOUNDS = (0.00005, 0.0001, 0.00025, *DURATION_BOUNDS)
