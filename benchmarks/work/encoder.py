"""Sentence embeddings on ONNX Runtime: token ids in, 384 numbers out. Texts of a batch are padded to its longest.

One thread, so that a core of a server is a core of the work alone. BENCH_MODEL names the exported model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

BATCHES = (1, 4, 8, 16)  # what the work alone is tried with; larger ones gain nothing on a processor

_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = _options.inter_op_num_threads = 1
_session = onnxruntime.InferenceSession(
    os.environ["BENCH_MODEL"], _options, providers=["CPUExecutionProvider"]
)


def embed(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Ids and mask of shape [texts, tokens]; embeddings of shape [texts, 384]."""
    return _session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]


def padded(texts: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask of texts of any lengths, filled with zeros up to the longest."""
    ids = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask


def answer(payload: dict[str, Any]) -> list[list[float]]:
    return embed(*padded(payload["data"])).tolist()


def answer_batch(payloads: list[dict[str, Any]]) -> list[list[list[float]]]:
    texts = [text for payload in payloads for text in payload["data"]]
    rows, answers, at = embed(*padded(texts)).tolist(), [], 0
    for payload in payloads:
        answers.append(rows[at : at + len(payload["data"])])
        at += len(payload["data"])
    return answers
