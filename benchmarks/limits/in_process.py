"""The work alone, in one process: no server, no socket. Prints JSON: requests a second, one by one and batched.

python in_process.py BODY_FILE SECONDS
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

BATCHES = (1, 4, 16, 64, 256)


def rate(call: Callable[[], object], requests: int, seconds: float) -> float:
    """Requests a second of a call that serves `requests` of them."""
    call()
    done = 0
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        call()
        done += requests
    return done / spent


def main() -> None:
    work = importlib.import_module(os.environ["BENCH_WORKLOAD"])
    body = Path(sys.argv[1]).read_bytes()
    seconds = float(sys.argv[2]) / (len(BATCHES) + 1)

    def one() -> bytes:
        return json.dumps(work.answer(json.loads(body))).encode()

    def batch(size: int) -> list[bytes]:
        answers = work.answer_batch([json.loads(body) for _ in range(size)])
        return [json.dumps(answer).encode() for answer in answers]

    rates = {size: rate(lambda size=size: batch(size), size, seconds) for size in BATCHES}
    best = max(rates, key=lambda size: rates[size])
    print(json.dumps({"one": rate(one, 1, seconds), "batch": rates[best], "batch_size": best}))


if __name__ == "__main__":
    main()
