"""The work alone, in one process: no server, no socket. Prints JSON: requests a second, one by one and batched.

python in_process.py BODY_FILE SECONDS        (the lines of a .jsonl file are bodies that take turns)

Decode, work and encode, on one core. "one" and "batch" use the json of the standard library, as the scoring script
does; "orjson" is the best batch with that codec. "batch_size" gave the best rate. For work whose requests differ in length
"batch" is the rate of batches of like length, and "padded" that of the largest batches as they come, padded to their longest.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

BATCHES = (1, 4, 16, 64, 256)
Codec = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]
STANDARD: Codec = (json.loads, lambda value: json.dumps(value).encode())


def rate(call: Callable[[], int], seconds: float) -> float:
    """Requests a second of a call that says how many it served."""
    done = 0
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        done += call()
    return done / spent


def serve_one(work: ModuleType, bodies: Sequence[bytes], codec: Codec) -> Callable[[], int]:
    loads, dumps = codec

    def call() -> int:
        for body in bodies:
            dumps(work.answer(loads(body)))
        return len(bodies)

    return call


def serve_batches(work: ModuleType, batches: Sequence[Sequence[bytes]], codec: Codec) -> Callable[[], int]:
    loads, dumps = codec

    def call() -> int:
        done = 0
        for batch in batches:
            done += len([dumps(answer) for answer in work.answer_batch([loads(body) for body in batch])])
        return done

    return call


def cut(bodies: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    return [bodies[at : at + size] for at in range(0, len(bodies), size)]


def figures(work: ModuleType, bodies: Sequence[bytes], seconds: float) -> dict[str, float]:
    """Every way and batch size for an equal share of the time; the best of each. Many bodies are always all served."""
    sizes: Sequence[int] = getattr(work, "BATCHES", BATCHES)
    costly, padded = hasattr(work, "BATCHES"), hasattr(work, "padded") and len(bodies) > 1
    if len(bodies) < max(sizes):
        bodies = [bodies[at % len(bodies)] for at in range(max(sizes))]
    share = seconds / (len(sizes) + 2)
    best = {"one": rate(serve_one(work, bodies[:16], STANDARD), share)}

    def note(kind: str, found: float, **more: float) -> None:
        if found > best.get(kind, 0):
            best.update({kind: found, **more})

    alike = sorted(bodies, key=len) if padded else bodies
    for size in sizes:
        some = cut(alike, size) if padded else [alike[:size]]
        note("batch", rate(serve_batches(work, some, STANDARD), share), batch_size=size)
    if padded:
        note("padded", rate(serve_batches(work, cut(bodies, max(sizes)), STANDARD), share))
    elif not costly:  # where the work is small enough for the codec to matter
        with contextlib.suppress(ImportError):
            import orjson

            some = [bodies[: int(best["batch_size"])]]
            note("orjson", rate(serve_batches(work, some, (orjson.loads, orjson.dumps)), share))
    return best


def main() -> None:
    work = importlib.import_module(os.environ["BENCH_WORKLOAD"])
    path = Path(sys.argv[1])
    text = path.read_bytes()
    bodies = text.split(b"\n") if path.suffix == ".jsonl" else [text]
    random.Random(1).shuffle(bodies)
    print(json.dumps(figures(work, bodies, float(sys.argv[2]))))


if __name__ == "__main__":
    main()
