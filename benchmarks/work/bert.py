"""A classifier of BERT's base size in torch with random weights: 128 token ids in, ten scores out."""

from __future__ import annotations

import os
from typing import Any

import torch
import transformers

DEVICE = os.environ.get("BENCH_DEVICE", "cuda")
BATCHES = (1, 8, 32, 64, 128) if DEVICE == "cuda" else (1, 2)
KIND = torch.float16 if DEVICE == "cuda" else torch.float32

torch.manual_seed(0)
_model = (
    transformers.BertForSequenceClassification(transformers.BertConfig(num_labels=10)).eval().to(DEVICE, KIND)
)


@torch.inference_mode()
def answer_batch(payloads: list[dict[str, Any]]) -> list[list[float]]:
    ids = torch.tensor([payload["data"] for payload in payloads])
    if DEVICE == "cuda":
        ids = ids.pin_memory().to(DEVICE, non_blocking=True)
    scores: list[list[float]] = _model(input_ids=ids).logits.float().tolist()
    return scores


def answer(payload: dict[str, Any]) -> list[float]:
    return answer_batch([payload])[0]
