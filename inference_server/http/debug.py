"""`/debug/requests`: the requests answered last and the state of all, as JSON for `azmlinfsrv top`.

It names callers' ids and tells of everybody's traffic, so it is for whoever sits at the machine. To all others it
does not exist: not to a peer that is not on the loopback, not to a request that a proxy has passed on (it says so in
a header), nor to a web page (whose requests name another host, or an origin).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from time import monotonic
from typing import Any

import orjson

from inference_server.http import health
from inference_server.messages import Answer, HealthReport
from inference_server.telemetry.metrics import DeploymentMetrics
from inference_server.telemetry.recent import KEPT, shown
from inference_server.workers.memory import resident_bytes

ROUTE = "/debug/requests"
_PASSED_ON = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "origin",
)


def permitted(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether whoever asks is on this machine. `peer` is the address of the other end; names in lower case."""
    if any(name in headers for name in _PASSED_ON):
        return False
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return _on_loopback(peer) and (name.lower() == "localhost" or _on_loopback(name))


def _on_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def answer(report: HealthReport, scored: DeploymentMetrics, query: Mapping[str, str]) -> Answer:
    """The state now, and the requests that finished after the first `since` ones: the last `most` of those
    that are kept."""
    scored.settle()
    rows = scored.recent.since(_number(query.get("since"), 0), _number(query.get("most"), KEPT))
    body: dict[str, Any] = {
        **health.described(report),
        "in_flight": scored.in_flight(),
        "memory_bytes": {
            str(worker.pid): resident_bytes(worker.pid) for worker in report.workers if worker.pid
        },
        "statuses": {str(status): count for status, count in sorted(scored.route.statuses.items())},
        "finished": scored.recent.finished,
        "requests": shown(rows, monotonic()),
    }
    return Answer(
        200, orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE), failed=None, headers=health.NO_STORE
    )


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 18 else default
