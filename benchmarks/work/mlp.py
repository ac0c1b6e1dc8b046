"""A network of three layers in numpy: 64 numbers a row in, ten scores a row out. Rows of many requests can share a run."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

SIZES = (64, 512, 512, 10)
_random = np.random.default_rng(0)
LAYERS = [
    (_random.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
    for rows, columns in pairwise(SIZES)
]


def scores(rows: np.ndarray) -> np.ndarray:
    for weights in LAYERS[:-1]:
        rows = np.maximum(rows @ weights, 0)
    return rows @ LAYERS[-1]


def answer(payload: dict[str, Any]) -> list[list[float]]:
    return scores(np.asarray(payload["data"], dtype=np.float32)).tolist()


def answer_batch(payloads: list[dict[str, Any]]) -> list[list[list[float]]]:
    blocks = [np.asarray(payload["data"], dtype=np.float32) for payload in payloads]
    ends = np.cumsum([len(block) for block in blocks])[:-1]
    return [part.tolist() for part in np.split(scores(np.concatenate(blocks)), ends)]
