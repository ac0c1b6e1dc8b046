"""What the store hands out: names, what is known of them, and operations on them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference_server.platform.errors import Refused

IN_PROGRESS, SUCCEEDED, FAILED, CANCELED = "InProgress", "Succeeded", "Failed", "Canceled"


@dataclass(frozen=True)
class Name:
    """An endpoint, or one of its deployments. Case does not matter."""

    endpoint: str
    deployment: str = ""  # "": the endpoint itself

    def __str__(self) -> str:
        what = f"deployment {self.deployment!r} of " if self.deployment else ""
        return f"{what}endpoint {self.endpoint!r}"


@dataclass(frozen=True)
class Record:
    """One endpoint or deployment."""

    name: Name
    generation: int  # of what is desired; grows with every change
    desired: Mapping[str, Any]
    deleting: bool  # what is desired is that it is no more
    observed: Mapping[str, Any]  # what its server said last; {}: nothing yet
    observed_generation: int  # which desired state that is about; 0: none
    created: float  # seconds of the epoch
    changed: float  # when what is desired was changed last, likewise

    @property
    def settled(self) -> bool:
        """Whether what was observed is about what is desired now."""
        return self.observed_generation == self.generation


@dataclass(frozen=True)
class Operation:
    """One change that somebody asked for, until it was carried out or has failed."""

    id: str
    name: Name
    kind: str  # the verb: create, update, delete, …
    generation: int  # the desired state that it made
    state: str
    code: str  # of its failure, as Azure names it; "": it has not failed
    message: str
    begun: float  # seconds of the epoch
    ended: float | None


def record(row: sqlite3.Row, name: Name) -> Record:
    """A row of endpoints or deployments."""
    return Record(
        name,
        row["generation"],
        json.loads(row["desired"]),
        bool(row["deleting"]),
        json.loads(row["observed"]),
        row["observed_generation"],
        row["created"],
        row["changed"],
    )


def operation(row: sqlite3.Row) -> Operation:
    """A row of operations."""
    values = dict(row)
    return Operation(name=Name(values.pop("endpoint"), values.pop("deployment")), **values)


def as_json(value: Mapping[str, Any]) -> str:
    """A state as it is kept. Raises Refused for what JSON cannot hold."""
    try:
        return json.dumps(value, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(f"a state holds what JSON cannot ({error})") from None
