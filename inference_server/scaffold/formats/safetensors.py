"""safetensors files: a JSON header that names every tensor, then numbers."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from inference_server.scaffold.formats import weights
from inference_server.scaffold.model import Model, NotAModel, Unknown

_MOST_HEADER = 100 * 1024**2


def look(path: Path) -> Model | None:
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= size <= _MOST_HEADER:
            raise NotAModel(f"{path} is not a safetensors file: its header has no length that could be")
        try:
            header = json.loads(file.read(size))
            tensors = [
                (name, tuple(facts["shape"])) for name, facts in header.items() if name != "__metadata__"
            ]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NotAModel(
                f"{path} is not a safetensors file: its header cannot be read ({error})"
            ) from error
    return Model(
        path,
        f"safetensors, {len(tensors)} tensors without their network",
        Unknown(),
        ("safetensors", "torch"),
        weights.code("load_file(path)", ("import torch", "from safetensors.torch import load_file"), tensors),
    )
