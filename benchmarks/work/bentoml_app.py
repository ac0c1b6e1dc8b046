"""The same work under BentoML: one process; its adaptive batching where the work has rows."""

from __future__ import annotations

import importlib
import os
from collections.abc import Generator

import bentoml
import numpy as np

NAME = os.environ["BENCH_WORKLOAD"]
work = importlib.import_module(NAME)

BATCH = int(os.environ.get("BENCH_BATCH", "16" if NAME == "encoder" else "64"))
TIMEOUT_MS = int(os.environ.get("BENCH_TIMEOUT_MS", "300000"))
LATENCY_MS = min(10_000, TIMEOUT_MS)  # a shorter one makes it refuse requests, the load being what it is

if NAME == "mlp":

    @bentoml.service(workers=1, traffic={"timeout": TIMEOUT_MS / 1000, "max_concurrency": 1024})
    class Score:
        @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=LATENCY_MS)
        def score(self, data: np.ndarray) -> np.ndarray:
            return work.scores(data.astype(np.float32))

elif hasattr(work, "answer_batch") and NAME not in ("tiny", "body"):

    @bentoml.service(workers=1, traffic={"timeout": TIMEOUT_MS / 1000, "max_concurrency": 1024})
    class Score:
        @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=LATENCY_MS)
        def score(self, data: list[list[float]]) -> list[list[float]]:
            return work.answer({"data": data})

elif NAME == "stream":

    @bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 1024})
    class Score:
        @bentoml.api
        def score(self, chunks: int) -> Generator[str, None, None]:
            yield from work.chunks({"chunks": chunks})

elif NAME == "body":

    @bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 1024})
    class Score:
        @bentoml.api
        def score(self, text: str) -> dict:
            return work.answer({"text": text})

else:

    @bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 1024})
    class Score:
        @bentoml.api
        def score(self, data: list) -> dict:
            return work.answer({"data": data})
