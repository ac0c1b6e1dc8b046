"""What a pickled estimator takes, told by what it learned: the columns' names, their kinds, usual values."""

from __future__ import annotations

import io
from typing import Any

from inference_server.scaffold import ubjson
from inference_server.scaffold.arrays import Array
from inference_server.scaffold.model import Column, Table, Takes, Texts, Unknown
from inference_server.scaffold.pickled import Inert

_DEEP = 12  # a pipeline in a search in a pipeline …
_MOST_COLUMNS = 2000


def takes_of(made: Inert) -> Takes:
    """The estimator's input, from its first step that says it."""
    first = _first(made)
    if first.name.startswith("sklearn.feature_extraction.text."):
        return Texts()
    count, names = _columns(made)
    if not count or count > _MOST_COLUMNS:
        return Unknown()
    examples: dict[int, Any] = {}
    _learn(first, list(range(count)), names, examples, 0)
    columns = tuple(
        Column(names[place] if names else str(place), examples.get(place, 0.0)) for place in range(count)
    )
    texts = any(isinstance(column.example, str) for column in columns)
    return Table(columns, named=bool(names) or texts)


def _first(made: Inert) -> Inert:
    """The step that sees the input first."""
    for _ in range(_DEEP):
        inner = _inner(made)
        if inner is None:
            return made
        made = inner
    return made


def _inner(made: Inert) -> Inert | None:
    attributes = made.attributes
    best = attributes.get("best_estimator_")
    if isinstance(best, Inert):
        return best
    steps = attributes.get("steps")
    if isinstance(steps, list):
        for step in steps:
            if isinstance(step, tuple) and isinstance(step[-1], Inert):
                return step[-1]
    return None


def _columns(made: Inert) -> tuple[int, list[str]]:
    """(how many columns, their names) of the outermost estimator that says so."""
    current: Inert | None = made
    for _ in range(_DEEP):
        if current is None:
            break
        names = current.attributes.get("feature_names_in_")
        count = current.attributes.get("n_features_in_")
        if isinstance(names, Array) and names.values and all(isinstance(name, str) for name in names.values):
            return len(names.values), list(names.values)
        if isinstance(count, int):
            return count, []
        if isinstance(current.attributes.get("_n_features"), int):  # LightGBM's estimators
            return current.attributes["_n_features"], []
        booster = current.attributes.get("_Booster")
        if isinstance(booster, Inert):
            return _booster_columns(booster)
        current = _inner(current)
    return 0, []


def _booster_columns(booster: Inert) -> tuple[int, list[str]]:
    """The same of XGBoost's estimators, from the model that is kept inside the pickle as UBJSON."""
    try:
        learner = ubjson.read(io.BytesIO(bytes(booster.attributes["handle"])))["Model"]["learner"]
        names = [str(name) for name in learner.get("feature_names") or []]
        return int(learner["learner_model_param"]["num_feature"]), names
    except (KeyError, TypeError, ValueError):
        return 0, []


def _learn(made: Any, places: list[int], names: list[str], examples: dict[int, Any], deep: int) -> None:
    """Put usual values for the columns at `places`, as `made` has learned them, into `examples`."""
    if not isinstance(made, Inert) or deep > _DEEP:
        return
    attributes = made.attributes
    for values in (_categories(attributes), _centres(attributes)):
        if values and len(values) == len(places):
            for place, value in zip(places, values, strict=True):
                examples.setdefault(place, value)
    transformers = attributes.get("transformers_") or []
    for transformer in transformers if isinstance(transformers, list) else []:
        if isinstance(transformer, tuple) and len(transformer) == 3:
            inner = _places(transformer[2], places, names)
            _learn(transformer[1], inner, names, examples, deep + 1)
    steps = attributes.get("steps")
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, tuple):
            _learn(step[-1], places, names, examples, deep + 1)


def _places(columns: Any, places: list[int], names: list[str]) -> list[int]:
    """Which of the whole table's columns a part of a ColumnTransformer takes: by name, by number, or by slice."""
    if isinstance(columns, (str, int)):
        columns = [columns]
    if isinstance(columns, Array):
        columns = columns.values or []
    if getattr(columns, "name", "") == "builtins.slice" and all(
        part is None or isinstance(part, int) for part in columns.args
    ):
        return places[slice(*columns.args)]
    found = []
    for column in columns if isinstance(columns, list) else []:
        if isinstance(column, str) and column in names:
            found.append(names.index(column))
        elif isinstance(column, int) and -len(places) <= column < len(places):
            found.append(places[column])
    return found


def _categories(attributes: dict[str, Any]) -> list[Any] | None:
    """One known category of each column that an encoder encodes."""
    categories = attributes.get("categories_")
    if not isinstance(categories, list):
        return None
    firsts = []
    for known in categories:
        values = getattr(known, "values", None)
        firsts.append(next((value for value in values or [] if isinstance(value, (str, int, float))), 0.0))
    return firsts


def _centres(attributes: dict[str, Any]) -> list[Any] | None:
    """The mean, median or middle of each column that a scaler or an imputer has seen."""
    for name in ("mean_", "center_", "statistics_"):
        values = getattr(attributes.get(name), "values", None)
        if values and all(isinstance(value, (str, int, float)) for value in values):
            return [_rounded(value) for value in values]
    least, most = (getattr(attributes.get(name), "values", None) for name in ("data_min_", "data_max_"))
    if least and most and len(least) == len(most):
        return [_rounded((low + high) / 2) for low, high in zip(least, most, strict=True)]
    return None


def _rounded(value: Any) -> Any:
    """Three figures are enough for an example; what is no number at all is 0."""
    if not isinstance(value, float):
        return value
    return 0.0 if value != value or value in (float("inf"), float("-inf")) else float(f"{value:.3g}")
