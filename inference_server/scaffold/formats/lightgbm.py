"""LightGBM's text files: the head before the first tree says all that is needed."""

from __future__ import annotations

import re
from pathlib import Path

from inference_server.scaffold.model import Code, Column, Model, Table

_SUFFIXES = frozenset({".txt", ".lgb", ".lgbm", ".model"})
_MOST_HEAD = 50 * 1024**2
_RANGE = re.compile(r"\[([-+.\deE]+):([-+.\deE]+)\]")
_UNNAMED = re.compile(r"Column_\d+")


def look(path: Path) -> Model | None:
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return None
    with path.open("rb") as file:
        if file.readline(16).strip() != b"tree":
            return None
        head = {}
        read = 0
        for line in file:
            read += len(line)
            if line.startswith(b"Tree=") or read > _MOST_HEAD:
                break
            name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition("=")
            head[name] = value
    names = head.get("feature_names", "").split(" ")
    infos = head.get("feature_infos", "").split(" ")
    columns = tuple(
        Column(name, _example(infos[place] if place < len(infos) else "")) for place, name in enumerate(names)
    )
    classes = int(head.get("num_class", "1"))
    objective = head.get("objective", "booster")
    return Model(
        path,
        f"LightGBM, {objective.partition(' ')[0]}, {len(names)} features",
        Table(columns, named=not all(_UNNAMED.fullmatch(name) for name in names)),
        ("lightgbm", "numpy"),
        Code(
            imports=("import lightgbm",),
            load=("model = lightgbm.Booster(model_file=path)",),
            predict=("return model.predict({data}).tolist()",),
            answer=[0.0] * classes if classes > 1 else 0.0,
        ),
    )


def _example(info: str) -> float:
    """The middle of the range that training has seen; 0 for categories and for what is constant."""
    found = _RANGE.fullmatch(info)
    return float(f"{(float(found[1]) + float(found[2])) / 2:.3g}") if found else 0.0
