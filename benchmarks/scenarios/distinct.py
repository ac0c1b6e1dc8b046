"""100,000 requests with answers of their own through batches, while workers are killed, hang, and clients leave.

The soak (benchmarks/soak.py) with batching: one request in two hundred kills its worker, sleeps past the scoring timeout, or is
left by its client. Everybody else must get 200 and their own answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import soak
from benchmarks.tables import Goal, number, table

TITLE = "100,000 answers of their own, with kills, sleepers and leaving clients"
REQUESTS, MISHAPS = 100_000, 0.005


def measure(servers: Sequence[str], seconds: float) -> dict[str, Any]:
    """The servers and the time do not matter: it is ours, and the number is the goal. A quick run asks less."""
    requests = REQUESTS if seconds >= 3 else REQUESTS // 10
    found = soak.run(requests, MISHAPS, batching=True, minutes=5)
    return {
        "requests": found.requests,
        "took_s": found.seconds,
        "outcomes": found.outcomes,
        "wrong": found.wrong,
        "faults": found.outcomes.get("FAULT", 0) + len(found.wrong),
    }


def report(record: dict[str, Any]) -> str:
    rows = [[name, f"{count:,}"] for name, count in sorted(record["outcomes"].items())]
    text = table(["outcome", "requests"], rows)
    rate = number(record["requests"] / record["took_s"])
    told = f"{record['requests']:,} requests, {rate} a second, two workers."
    wrong = "".join(f"\n- {line}" for line in record["wrong"])
    return f"{text}\n\n{told}{wrong}"


def goals(record: dict[str, Any]) -> list[Goal]:
    return [
        Goal("distinct answers through batching, kills and cancels: requests", record["requests"], REQUESTS),
        Goal("distinct answers: wrong, lost or doubled", record["faults"], 0, False),
    ]
