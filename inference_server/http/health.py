"""What the health routes say: a pure reading of the workers' states, made into JSON for a person."""

from __future__ import annotations

import os
from collections.abc import Callable

import orjson

from inference_server.lifecycle import ServerState
from inference_server.messages import Answer, BatchingReport, HealthReport, ReloadReport, WorkerReport

LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE  # a person reads it too
NO_STORE = b"Cache-Control: no-store\r\n"
_TEXT = b"text/plain; charset=utf-8"
_HTML = b"text/html; charset=utf-8"
_UNHEALTHY = {
    ServerState.STARTING: b"Starting: the first worker is not ready yet",
    ServerState.UNAVAILABLE: b"Unavailable: no worker can take requests; /readyz says why",
    ServerState.DRAINING: b"Draining: the server is shutting down",
}


def root(report: HealthReport) -> Answer:
    """`/`: 200 `Healthy` while a worker can take requests, else 503 and a fixed text: this route is public."""
    if report.state is ServerState.READY:
        return Answer(200, b"Healthy", _HTML, failed=None)
    return Answer(503, _UNHEALTHY[report.state], _TEXT, failed=None, headers=b"Retry-After: 1\r\n")


def probes(health: Callable[[], HealthReport]) -> dict[str, Callable[[], Answer]]:
    """The routes for machines, by path. They are never refused for what the caller sends along."""
    return {
        "/livez": lambda: live(health()),
        "/readyz": lambda: ready(health()),
        "/startupz": lambda: startup(health()),
    }


def live(report: HealthReport) -> Answer:
    """`/livez`: 200 as long as the front answers at all; the report says what is behind it."""
    return _answer(200, report)


def ready(report: HealthReport) -> Answer:
    """`/readyz`: 200 while a worker can take requests."""
    return _answer(200 if report.state is ServerState.READY else 503, report)


def startup(report: HealthReport) -> Answer:
    """`/startupz`: 503 until a worker has been ready once, then 200 for ever."""
    return _answer(200 if report.started else 503, report)


def described(report: HealthReport) -> dict[str, object]:
    """The report as JSON shows it."""
    body: dict[str, object] = {
        "status": report.state.value,
        "reason": _text(report.reason),
        "started": report.started,
        "queued": report.queued,
        "pid": os.getpid(),
        "workers": [_worker(worker) for worker in report.workers],
    }
    if report.batching is not None:
        body["batching"] = _batching(report.batching)
    if report.reload is not None:
        body["reload"] = _reload(report.reload)
    return body


def _answer(status: int, report: HealthReport) -> Answer:
    return Answer(status, orjson.dumps(described(report), option=LAYOUT), failed=None, headers=NO_STORE)


def _batching(report: BatchingReport) -> dict[str, object]:
    return {
        "way": report.way,
        "state": report.state,
        "reason": _text(report.reason),
        "max_rows": report.rows,
        "agreed": report.agreed,
        "requests": report.requests,
        "repro": _text(report.repro),
    }


def _reload(report: ReloadReport) -> dict[str, object]:
    return {
        "number": report.number,
        "state": report.state,
        "reason": _text(report.reason),
        "seconds": round(report.seconds, 3),
    }


def _worker(report: WorkerReport) -> dict[str, object]:
    return {
        "worker": report.worker,
        "pid": report.pid,
        "state": report.state.value,
        "since_s": round(report.seconds, 3),
        "in_hand": report.in_hand,
        "restarts": report.restarts,
        "last_error": _text(report.last_error),
        "reason": _text(report.reason),
    }


def _text(text: str) -> str:
    """Text that can be encoded: a path may hold bytes that are none."""
    return text.encode("utf-8", "backslashreplace").decode()
