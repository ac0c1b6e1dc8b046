"""How many instances, how many requests each takes, how long one may take, and when an instance counts as well."""

from __future__ import annotations

from dataclasses import dataclass

from inference_server.definitions.declare import declared
from inference_server.definitions.groups import Group
from inference_server.definitions.kinds import Choice, Text, Whole
from inference_server.definitions.names import MOST_INSTANCES

DEFAULT, TARGET_UTILIZATION = "default", "target_utilization"


@dataclass(frozen=True)
class ScaleSettings:
    """Whether the number of instances follows the load."""

    type: str = declared(
        "",
        Choice((DEFAULT, TARGET_UTILIZATION)),
        "`default` keeps `instance_count` (or follows rules of `azmlinfsrv autoscale`), `target_utilization` follows the "
        "load within the bounds below. Azure knows the latter on Kubernetes only.",
        default_text="`default`; `target_utilization` on Kubernetes",
    )
    min_instances: int = declared(1, Whole(1, MOST_INSTANCES), "Never fewer instances.")
    max_instances: int = declared(1, Whole(1, MOST_INSTANCES), "Never more instances.")
    target_utilization_percentage: int = declared(
        70,
        Whole(1, 100),
        "The load to keep: busy instances and waiting requests, over all instances.",
        unit="per cent",
    )
    polling_interval: int = declared(1, Whole(1), "How often the load is looked at.", unit="seconds")


@dataclass(frozen=True)
class RequestSettings:
    """Limits of requests."""

    request_timeout_ms: int = declared(
        5000,
        Whole(1),
        "How long a request may take, from its arrival; then it gets 408. At most 180000, on Kubernetes and for prompt "
        "flow 300000.",
        unit="milliseconds",
    )
    max_concurrent_requests_per_instance: int | None = declared(
        None,
        Whole(1),
        "How many requests an instance works on at a time; with twice as many under way the next gets 429.",
        default_text="`1`; with batching, the largest batch of each worker",
    )
    max_queue_wait_ms: int = declared(
        500,
        Whole(0),
        "How long a request may wait. On managed endpoints Azure has given it up: waiting counts as part of the timeout.",
        unit="milliseconds",
        used="On Kubernetes deployments only; else it gets a note.",
    )


@dataclass(frozen=True)
class Probe:
    """When an instance counts as alive, or as ready."""

    initial_delay: int = declared(10, Whole(1), "Before the first look.", unit="seconds")
    period: int = declared(10, Whole(1), "Between two looks.", unit="seconds")
    timeout: int = declared(2, Whole(1), "A look without an answer for so long has failed.", unit="seconds")
    success_threshold: int = declared(
        1,
        Whole(1),
        "So many good looks in a row after a failure. Of a managed deployment's liveness always 1.",
    )
    failure_threshold: int = declared(30, Whole(1), "So many failed looks in a row count as a failure.")


@dataclass(frozen=True)
class Amounts:
    """Cores, memory, devices."""

    cpu: str = declared("", Text(), "Cores: `0.5`, `500m`.")
    memory: str = declared("", Text(), "Memory: `512Mi`, `2Gi`.")
    gpu: str = declared("", Text(), "GPUs; `gpu` is the same.", key="nvidia.com/gpu", aliases=("gpu",))


@dataclass(frozen=True)
class Resources:
    """What an instance may take."""

    requests: Amounts | None = declared(
        None,
        Group(Amounts),
        "What is set aside for an instance.",
        ignored="one machine sets nothing aside; see limits",
    )
    limits: Amounts | None = declared(
        None,
        Group(Amounts),
        "The most that an instance may take.",
        used="In place of the limits of `instance_type`.",
    )


PROBE = Group(Probe)
