"""Which requests, answers and frames of the script are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference_server.definitions.declare import declared
from inference_server.definitions.groups import Group
from inference_server.definitions.kinds import Choice, ListOf, MapOf, Number, Switch, Text


@dataclass(frozen=True)
class CollectedData:
    """Where a collection is kept."""

    name: str = declared(
        "", Text(), "Name of the data asset.", default_text="`<endpoint>-<deployment>-<collection>`"
    )
    path: str = declared(
        "",
        Text(),
        "Where it is kept.",
        default_text="`azureml://datastores/workspaceblobstore/paths/modelDataCollector/…`",
    )
    version: str = declared("1", Text(), "Version of the data asset.")


@dataclass(frozen=True)
class Collection:
    """One collection."""

    enabled: bool = declared(False, Switch(), "Whether it is kept; a text such as 'True' will do.")
    data: CollectedData | None = declared(None, Group(CollectedData), "Where it is kept.")


@dataclass(frozen=True)
class RequestLogging:
    """What is kept beside payloads."""

    capture_headers: tuple[str, ...] = declared((), ListOf(Text(free=True)), "Headers that are kept.")


@dataclass(frozen=True)
class DataCollector:
    """Collections: `request` and `response` are the raw exchange, others those that a Collector in the script names."""

    collections: Mapping[str, Collection] = declared(
        dict, MapOf(Group(Collection)), "The collections, by name.", required=True
    )
    sampling_rate: float = declared(1.0, Number(0, 1), "The share of requests that is kept.")
    rolling_rate: str = declared(
        "hour", Choice(("minute", "hour", "day")), "A new file begins each minute, hour or day."
    )
    request_logging: RequestLogging | None = declared(
        None, Group(RequestLogging), "What is kept beside payloads."
    )
