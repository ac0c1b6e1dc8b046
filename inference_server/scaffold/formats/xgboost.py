"""XGBoost's own files: JSON, and UBJSON, its binary twin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inference_server.scaffold import ubjson
from inference_server.scaffold.model import Code, Column, Model, NotAModel, Table

_SUFFIXES = frozenset({".json", ".ubj", ".xgb", ".bst", ".model"})
_EXAMPLES = {"int": 0, "i": 0, "float": 0.0, "q": 0.0, "c": 0}


def look(path: Path) -> Model | None:
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(3)
        file.seek(0)
        if start[:1] != b"{":
            return None
        try:
            document = ubjson.read(file) if start[1:2] in (b"L", b"l", b"i", b"U", b"I") else json.load(file)
        except (ValueError, RecursionError) as error:
            if path.suffix == ".json":
                return None
            raise NotAModel(f"{path} is not a whole XGBoost model: {error}") from error
    learner = document.get("learner") if isinstance(document, dict) else None
    if not isinstance(learner, dict):
        return None
    return _model(path, learner, document.get("version"))


def _model(path: Path, learner: dict[str, Any], version: Any) -> Model:
    facts = learner.get("learner_model_param", {})
    count = int(facts.get("num_feature", 0))
    names = learner.get("feature_names") or []
    kinds = learner.get("feature_types") or []
    columns = tuple(
        Column(
            names[place] if place < len(names) else str(place),
            _EXAMPLES.get(kinds[place] if place < len(kinds) else "float", 0.0),
        )
        for place in range(count)
    )
    objective = learner.get("objective", {}).get("name", "")
    classes = int(facts.get("num_class", 0))
    major, minor = (*version, 0, 0)[:2] if isinstance(version, list) else (0, 0)
    floor = f">={major}.{minor}" if isinstance(major, int) and isinstance(minor, int) and major else ""
    return Model(
        path,
        f"XGBoost, {objective or 'booster'}, {count} features",
        Table(columns, named=bool(names)),
        ("numpy", f"xgboost{floor}"),
        Code(
            imports=("import xgboost",),
            load=("model = xgboost.Booster()", "model.load_model(path)"),
            predict=("return model.predict(xgboost.DMatrix({data})).tolist()",),
            answer=[0.0] * classes if classes > 1 and objective == "multi:softprob" else 0.0,
        ),
    )
