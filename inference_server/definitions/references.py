"""Models and environments that are registered somewhere, named by a text.

azureml:NAME:VERSION    azureml:NAME@LABEL
azureml://registries/REGISTRY/models/NAME/versions/VERSION    …/labels/LABEL    …/environments/…
azureml:/subscriptions/…/workspaces/…/models/NAME/versions/VERSION
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "azureml:"
PATTERN = r"^azureml:.+"
_SHORT = re.compile(r"azureml:(?P<name>[^:@/\s]+)(?::(?P<version>[^:@/\s]+)|@(?P<label>[^:@/\s]+))?")
_LONG = re.compile(
    r"azureml:(?://|/)(?:.*/)?(?:registries/(?P<registry>[^/]+)/)?(?P<kind>models|environments)/(?P<name>[^/]+)"
    r"(?:/(?:versions/(?P<version>[^/]+)|labels/(?P<label>[^/]+)))?/?"
)
_REGISTRY = re.compile(r"registries/([^/]+)/")


@dataclass(frozen=True)
class AssetReference:
    """A registered model or environment: its name with a version or a label, one of which is ""."""

    text: str  # as it is written
    name: str
    version: str = ""
    label: str = ""
    registry: str = ""  # "": the workspace's own

    def __str__(self) -> str:
        return self.text


def reference(text: str, kind: str) -> AssetReference:
    """Read one; `kind` is `model` or `environment`. Raises ValueError, which says what to write."""
    usual = f"{PREFIX}NAME:VERSION or {PREFIX}NAME@LABEL"
    if not text.startswith(PREFIX):
        raise ValueError(_without_prefix(text, kind, usual))
    short = _SHORT.fullmatch(text)
    found = short or _LONG.fullmatch(text)
    if found is None:
        raise ValueError(
            f"got {text[:80]!r}, write {usual}, or azureml://registries/…/{kind}s/NAME/versions/VERSION"
        )
    if not short and found["kind"] != f"{kind}s":
        raise ValueError(f"got {text[:80]!r}, which is no {kind}, write one with /{kind}s/ in it")
    version, label = found["version"] or "", found["label"] or ""
    if not version and not label:
        raise ValueError(f"got {text[:80]!r} without a version, write {text.rstrip('/')}{_any_version(text)}")
    registry = _REGISTRY.search(text)
    return AssetReference(text, found["name"], version, label, registry[1] if registry else "")


def _any_version(text: str) -> str:
    return "/versions/1 or …/labels/latest" if "/" in text else ":1 or …@latest"


def _without_prefix(text: str, kind: str, usual: str) -> str:
    if re.fullmatch(r"[\w.-]+(:[\w.-]+|@[\w.-]+)", text):
        return f"got {text!r}, write {PREFIX}{text}"
    inline = "path: …" if kind == "model" else "image: … or conda_file: …"
    return f"got {text[:80]!r}, write {usual}; or {kind}: with `{inline}` on a line below it"
