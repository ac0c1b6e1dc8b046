"""Pickle and joblib files: scikit-learn's estimators, and what follows their ways (XGBoost's, LightGBM's, …)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from inference_server.scaffold import pickled
from inference_server.scaffold.formats.estimator import takes_of
from inference_server.scaffold.model import Code, Model, NotAModel, Takes, Unknown
from inference_server.scaffold.pickled import Inert

_SUFFIXES = frozenset(
    {".joblib", ".pkl", ".pickle", ".gz", ".z", ".bz2", ".xz", ".lzma", ".sav", ".model", ""}
)
# The package that a module comes from. Any other name in a pickle is not made a requirement: whoever wrote the file
# could have pip install what he likes.
PACKAGES = {
    "catboost": "catboost",
    "category_encoders": "category-encoders",
    "feature_engine": "feature-engine",
    "imblearn": "imbalanced-learn",
    "joblib": "joblib",
    "lightgbm": "lightgbm",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "skops": "skops",
    "statsmodels": "statsmodels",
    "torch": "torch",
    "xgboost": "xgboost",
}
_VERSION = re.compile(r"\d+(\.\w+)*")
# A model has no need of these.
SUSPECT = frozenset(
    {"os", "nt", "posix", "subprocess", "sys", "socket", "shutil", "runpy", "importlib", "ctypes", "pty"}
)
_SUSPECT_BUILT_IN = frozenset(
    {"eval", "exec", "compile", "open", "__import__", "getattr", "input", "breakpoint"}
)
RUNS_CODE = "a pickle: loading it imports and calls what it names"
_TRANSFORMERS = (
    "sklearn.preprocessing.",
    "sklearn.decomposition.",
    "sklearn.feature_extraction.",
    "sklearn.compose.",
)


def look(path: Path) -> Model | None:
    if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
        return None
    try:
        made, names = pickled.read(path)
    except pickled.Unreadable as error:
        raise NotAModel(f"{path} cannot be looked into: {error}") from error
    joblib = path.suffix == ".joblib" or pickled.WRAPPER in names or not _is_plain_pickle(path)
    roots = _roots(names, joblib)
    final = _final(made)
    predicts = not (isinstance(final, Inert) and final.name.startswith(_TRANSFORMERS))
    takes: Takes = Unknown()
    about = f"a pickled {type(made).__name__}"
    if isinstance(made, Inert) and isinstance(final, Inert):
        takes = takes_of(made)
        about = _about(made, final)
    return Model(
        path,
        about,
        takes,
        _requirements(roots, made),
        _code(joblib, "predict" if predicts else "transform", _answer(final), _notes(roots, names)),
        tuple(names),
        RUNS_CODE,
    )


def _about(made: Inert, final: Inert) -> str:
    """`scikit-learn Pipeline that ends in LogisticRegression`"""
    root = made.name.partition(".")[0]
    outer, inner = (one.name.rpartition(".")[2] for one in (made, final))
    return f"{PACKAGES.get(root, root)} {outer}" + ("" if final is made else f" that ends in {inner}")


def suspects(names: tuple[str, ...]) -> list[str]:
    """Those of a pickle's names that no model needs: they run commands, open files, import code."""
    found = []
    for name in names:
        root, _, rest = name.partition(".")
        if SUSPECT.intersection(name.split(".")) or (
            root in ("builtins", "__builtin__") and rest in _SUSPECT_BUILT_IN
        ):
            found.append(name)
    return found


def _is_plain_pickle(path: Path) -> bool:
    """Whether `pickle.load` reads it: it is not compressed."""
    with path.open("rb") as file:
        return file.read(1) in (b"\x80", b"(", b"]", b"}", b"c")


def _final(made: Any) -> Any:
    """The estimator that predicts: the last step of a pipeline, the best of a search."""
    for _ in range(20):
        if not isinstance(made, Inert):
            return made
        attributes = made.attributes
        best = attributes.get("best_estimator_")
        steps = attributes.get("steps")
        if isinstance(best, Inert):
            made = best
        elif (
            isinstance(steps, list)
            and steps
            and isinstance(steps[-1], tuple)
            and isinstance(steps[-1][-1], Inert)
        ):
            made = steps[-1][-1]
        else:
            return made
    return made


def _answer(final: Any) -> Any:
    """What predict() gives for one row: the first class of a classifier, else a number."""
    if not isinstance(final, Inert):
        return None
    classes = final.attributes.get("classes_")
    values = getattr(classes, "values", None) or (classes if isinstance(classes, list) else None)
    return values[0] if values and isinstance(values[0], (str, int, float, bool)) else 0.0


def _roots(names: list[str], joblib: bool) -> list[str]:
    """The modules that its classes come from, without Python's own."""
    roots = {name.partition(".")[0] for name in names} - {"__main__", "__builtin__", "copy_reg"}
    return sorted((roots | {"numpy", *(["joblib"] if joblib else [])}) - sys.stdlib_module_names)


def _requirements(roots: list[str], made: Any) -> tuple[str, ...]:
    """Their packages; of scikit-learn the version, since its pickles belong to one."""
    version = made.attributes.get("_sklearn_version") if isinstance(made, Inert) else None
    pinned = isinstance(version, str) and _VERSION.fullmatch(version)
    return tuple(
        f"{PACKAGES[root]}=={version}" if root == "sklearn" and pinned else PACKAGES[root]
        for root in roots
        if root in PACKAGES
    )


def _notes(roots: list[str], names: list[str]) -> tuple[str, ...]:
    """What the file does not tell: where other classes come from."""
    found = [
        f"requirements.txt: add the package of the module {root}" for root in roots if root not in PACKAGES
    ]
    own = sorted({name.rpartition(".")[2] for name in names if name.startswith("__main__.")})
    if own:
        found.append(
            f"score.py: the model needs {', '.join(own)} of the program that wrote it, as sys.modules['__main__'].…"
        )
    return tuple(found)


def _code(joblib: bool, method: str, answer: Any, notes: tuple[str, ...]) -> Code:
    with_joblib = ("model = joblib.load(path)",)
    with_pickle = ('with open(path, "rb") as file:', "    model = pickle.load(file)")
    return Code(
        imports=("import joblib",) if joblib else ("import pickle",),
        load=with_joblib if joblib else with_pickle,
        predict=(f"return model.{method}({{data}}).tolist()",),
        answer=answer,
        notes=notes,
    )
