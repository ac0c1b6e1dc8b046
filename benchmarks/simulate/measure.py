"""Measures what a batch takes, in this process, and writes the tables that the simulator runs on.

OPENBLAS_NUM_THREADS=1 python -m benchmarks.simulate.measure [NAME...]        all tables, or the named ones
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.simulate.tables import FOLDER
from benchmarks.work import mlp

ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
ROUNDS = 60  # timings of each size; the fastest tenth counts, as others may use the machine too


def wide() -> Callable[[np.ndarray], np.ndarray]:
    """Three layers of 2,048: one row takes nearly as long as eight, since the weights come from memory."""
    random = np.random.default_rng(0)
    sizes = (64, 2048, 2048, 2048, 10)
    layers = [
        (random.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
        for rows, columns in pairwise(sizes)
    ]

    def run(rows: np.ndarray) -> np.ndarray:
        for weights in layers[:-1]:
            rows = np.maximum(rows @ weights, 0)
        return rows @ layers[-1]

    return run


def forest() -> Callable[[np.ndarray], np.ndarray]:
    """A hundred trees: mostly a fixed cost of each call. Needs scikit-learn."""
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(0)
    samples = random.standard_normal((2000, 64)).astype(np.float32)
    model = RandomForestClassifier(n_estimators=100, max_depth=10, random_state=0, n_jobs=1)
    model.fit(samples, (samples.sum(axis=1) > 0).astype(int))
    return model.predict_proba


WORK: dict[str, tuple[str, Callable[[], Callable[[np.ndarray], np.ndarray]]]] = {
    "mlp": ("layers of 512 (the MLP of the benchmarks)", lambda: mlp.scores),
    "forest": ("a hundred trees of scikit-learn", forest),
    "wide": ("layers of 2,048", wide),
}


def batch_seconds(run: Callable[[np.ndarray], np.ndarray], bodies: list[str]) -> tuple[float, float, float]:
    """Decoding, run() and encoding of a batch of requests: the seconds of each step."""
    began = time.perf_counter()
    merged = np.concatenate([np.asarray(json.loads(body)["data"], dtype=np.float32) for body in bodies])
    decoded = time.perf_counter()
    result = run(merged)
    ran = time.perf_counter()
    for answer in result.tolist():
        json.dumps([answer]).encode()
    return decoded - began, ran - decoded, time.perf_counter() - ran


def measure(name: str) -> dict[str, Any]:
    """One table: seconds for decoding, run() and encoding by number of rows."""
    title, make = WORK[name]
    run = make()
    row = np.random.default_rng(1).uniform(-1, 1, (1, 64)).round(3).tolist()
    bodies = [json.dumps({"data": row})] * ROWS[-1]
    # The sizes take turns, so that a slow moment of the machine does not fall on one of them; the second call counts,
    # since the first one finds the caches as the size before has left them.
    rounds = [[[batch_seconds(run, bodies[:rows]) for _ in "12"][1] for rows in ROWS] for _ in range(ROUNDS)]
    found = [[_fast([each[size][step] for each in rounds]) for step in range(3)] for size in range(len(ROWS))]
    for size in reversed(range(len(ROWS) - 1)):  # fewer rows never take longer: they could be filled up
        found[size] = [min(pair) for pair in zip(found[size], found[size + 1], strict=True)]
    return {
        "title": title,
        "measured": f"numpy {np.__version__} with one thread, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}",
        "rows": list(ROWS),
        **{
            step: [round(each[place], 8) for each in found]
            for place, step in enumerate(("decode", "run", "encode"))
        },
    }


def _fast(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=10)[0]


def main() -> None:
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        sys.exit("numpy is to have one thread, as in a worker beside others: set OPENBLAS_NUM_THREADS=1")
    for name in sys.argv[1:] or WORK:
        table = measure(name)
        (FOLDER / f"{name}.json").write_text(json.dumps(table, indent=1) + "\n")
        print(
            name, *(f"{rows}: {1e6 * run:.0f}" for rows, run in zip(table["rows"], table["run"], strict=True))
        )


if __name__ == "__main__":
    main()
