"""Azure's curated environments: what each stands for here, or why it cannot be had.

Their images are Azure's own. What a scoring script needs of them is a Python and some packages, which are made here; the
server is this one. A registered environment of the same name goes before these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_COMMON = ("numpy", "pandas", "joblib", "inference-schema[numpy-support,pandas-support]")
_PYTHON = re.compile(r"py(?P<major>3)(?P<minor>\d{1,2})(?!\d)")


@dataclass(frozen=True)
class Curated:
    """A family of curated environments. `packages`: `{version}` stands for that in the name; None: it is not had here."""

    name: re.Pattern[str]
    packages: Sequence[str] | None
    python: str = "3.10"  # where the name says none
    why_not: str = ""


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:azureml-)?{pattern}", re.IGNORECASE)


_VERSION = r"(?P<version>\d+\.\d+)(?:\.\d+)?"
_AZURES_OWN = "its image holds more than packages"
FAMILIES = (
    Curated(_named(r"minimal-.*inference(-.*)?"), (), "3.12"),
    Curated(_named(rf"sklearn-{_VERSION}(-.*)?"), ("scikit-learn=={version}.*", *_COMMON)),
    Curated(_named(rf"lightgbm-{_VERSION}(-.*)?"), ("lightgbm=={version}.*", "scikit-learn", *_COMMON)),
    Curated(_named(rf"xgboost-{_VERSION}(-.*)?"), ("xgboost=={version}.*", "scikit-learn", *_COMMON)),
    Curated(_named(rf"(acpt-)?pytorch-{_VERSION}(-.*)?"), ("torch=={version}.*", *_COMMON)),
    Curated(_named(rf"onnxruntime-{_VERSION}(-.*)?"), ("onnxruntime=={version}.*", *_COMMON)),
    Curated(_named(rf"tensorflow-{_VERSION}(-.*)?"), ("tensorflow=={version}.*", *_COMMON)),
    Curated(_named(r"mlflow-.*inference(-.*)?"), ("mlflow-skinny", *_COMMON)),
    Curated(_named(r"triton.*"), None, why_not="its image holds Triton's own server"),
    Curated(_named(r"(ai-ml-)?automl.*"), None, why_not=_AZURES_OWN),
    Curated(
        _named(r"(responsibleai|rai|foundation-model|acft|model-|promptflow|python-sdk|dask).*"),
        None,
        why_not=_AZURES_OWN,
    ),
)


def curated(name: str) -> Curated | None:
    """The family that a name belongs to; None: it is no curated environment's name."""
    return next((family for family in FAMILIES if family.name.fullmatch(name)), None)


def conda_of(family: Curated, name: str) -> dict[str, Any]:
    """The conda file that stands for it here."""
    match = family.name.fullmatch(name)
    version = (match.groupdict().get("version") if match else None) or ""
    python = _PYTHON.search(name)
    packages = [package.format(version=version) for package in family.packages or ()]
    pip: list[Any] = [{"pip": packages}] if packages else []
    found = f"{python['major']}.{python['minor']}" if python else family.python
    return {"name": name, "dependencies": [f"python={found}", "pip", *pip]}
