"""The results of `azmlinfsrv bench` as JSON; docs/bench.md describes the fields."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from inference_server import __version__
from inference_server.cli.bench_options import STANDARD_OUTPUT
from inference_server.cli.bench_plan import Plan
from inference_server.load.generator import Closed
from inference_server.load.histogram import Histogram
from inference_server.load.level import SHARES, Level
from inference_server.load.tally import Tally
from inference_server.tuning.machine import processors

SCHEMA = 1  # a field that changes its meaning or goes away makes it 2; new fields do not


def document(
    plan: Plan, levels: Sequence[Level], started: datetime, seconds: float, code: int
) -> dict[str, Any]:
    """All there is, without the values of headers, which may be secret."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "exit_code": code,
        "machine": {"platform": platform.platform(), "processors": processors()},
        "servers": [side.where.url for side in plan.sides],
        "request": {
            "method": plan.method,
            "headers": sorted({name for side in plan.sides for name, _ in side.headers}),
            "bodies": [
                {"name": body.name, "bytes": len(body.content), "content_type": body.content_type}
                for body in plan.bodies
            ],
        },
        "levels": [_level(plan, level) for level in levels],
    }


def write(path: str, found: dict[str, Any]) -> None:
    """To a file, or to standard output. Raises OSError."""
    text = json.dumps(found, indent=2) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _level(plan: Plan, level: Level) -> dict[str, Any]:
    closed = isinstance(level.pace, Closed)
    found: dict[str, Any] = {
        "loop": "closed" if closed else "open",
        ("callers" if closed else "rate"): level.pace.callers
        if isinstance(level.pace, Closed)
        else level.pace.rate,
        "results": [
            {**_result(plan, tally), "turns": [_turn(turn) for turn in turns]}
            for tally, turns in zip(level.tallies, level.turns, strict=True)
        ],
    }
    if len(level.turns) > 1:
        found["compared"] = {
            key: {**asdict(ratio), "noise": ratio.noise} if ratio else None
            for key, ratio in level.compared().items()
        }
    return found


def _result(plan: Plan, tally: Tally) -> dict[str, Any]:
    return {
        "seconds": round(tally.seconds, 3),
        "requests": tally.requests,
        "good": tally.good,
        "failed": tally.failed,
        "rate": round(tally.rate, 3),
        "latency_ms": _latencies(tally.latency),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "errors": tally.errors,
        "failures": [
            {
                "kind": failure.kind,
                "text": failure.text,
                "body": None if failure.place is None else plan.bodies[failure.place].name,
            }
            for failure in tally.failures.values()
        ],
        "bytes_sent": tally.sent,
        "bytes_received": tally.received,
        "connections_opened": tally.opened,
        "generator": {
            "processor": round(tally.busy / tally.seconds, 3) if tally.seconds else 0.0,
            "limited": tally.limited,
            "late_p99_ms": _ms(tally.late.percentile(0.99)),
        },
        "server_timing": _timing(tally),
        "interrupted": tally.cut,
    }


def _turn(tally: Tally) -> dict[str, Any]:
    p50, p99 = tally.latency.percentiles((0.5, 0.99))
    return {"rate": round(tally.rate, 3), "p50_ms": _ms(p50), "p99_ms": _ms(p99), "failed": tally.failed}


def _timing(tally: Tally) -> dict[str, Any] | None:
    timing = tally.timing
    if not timing.phases:
        return None
    return {
        "requests": timing.seen.count,
        "seen_ms": _latencies(timing.seen),
        "phases_ms": {name: _latencies(durations) for name, durations in timing.phases.items()},
    }


def _latencies(found: Histogram) -> dict[str, float] | None:
    """Milliseconds; None where there is none."""
    if not found.count:
        return None
    values = zip(SHARES, found.percentiles(SHARES.values()), strict=True)
    return {"mean": _ms(found.mean), **{name: _ms(value) for name, value in values}, "max": _ms(found.most)}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 4)
