"""What happens under poison, leaving clients, overload, new code: each a story of its own, told of every server that can be in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from benchmarks.scenarios import (
    attach,
    distinct,
    environments,
    gpu,
    leavers,
    openloop,
    overload,
    poison,
    reload,
    storage,
)
from benchmarks.tables import Goal


class Scenario(Protocol):
    """A module of this package. Records are JSON-ready; `seconds` is for each single measurement."""

    TITLE: str

    def measure(self, servers: Sequence[str], seconds: float) -> dict[str, Any]: ...
    def report(self, record: dict[str, Any]) -> str: ...
    def goals(self, record: dict[str, Any]) -> list[Goal]: ...


SCENARIOS: dict[str, Scenario] = {
    "openloop": openloop,
    "poison": poison,
    "leavers": leavers,
    "overload": overload,
    "distinct": distinct,
    "reload": reload,
    "attach": attach,
    "gpu": gpu,
    "storage": storage,
    "environments": environments,
}
