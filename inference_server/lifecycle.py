"""The states of a worker, of an endpoint and of a deployment, and the only moves between them; those of a server, read
off its workers.

Transitions are data. A move that is not in the table is a programming error and raises, it is never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

State = TypeVar("State", bound=Enum)


class WorkerState(str, Enum):
    """One worker process, from its start to its end."""

    STARTING = "starting"  # the process runs, score.py is not yet being loaded
    LOADING = "loading"  # score.py is being imported or its init() runs
    READY = "ready"  # waits for requests
    BUSY = "busy"  # has requests in its hands
    STALLED = "stalled"  # its run() passed the scoring timeout and did not stop
    DRAINING = "draining"  # finishes what it has, takes nothing new
    STOPPED = "stopped"  # gone


class ServerState(str, Enum):
    """The front and everything behind it: never kept, always read off the workers' states."""

    STARTING = "starting"  # no worker has been ready yet
    READY = "ready"  # at least one worker can take requests
    UNAVAILABLE = "unavailable"  # was ready once; now no worker is
    DRAINING = "draining"  # finishes what was accepted, accepts nothing


class ProvisioningState(str, Enum):
    """What is being done to an endpoint or a deployment, or how the last that was done ended; Azure's words."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SCALING = "Scaling"  # of a deployment only: the number of its instances changes
    SUCCEEDED = "Succeeded"  # it is as was asked for
    FAILED = "Failed"  # it is not; what served before still serves
    DELETING = "Deleting"  # and then it is no more


WORKER_MOVES: dict[WorkerState, frozenset[WorkerState]] = {
    # READY at once: a worker that was forked from a process that had loaded the script
    WorkerState.STARTING: frozenset({WorkerState.LOADING, WorkerState.READY, WorkerState.STOPPED}),
    WorkerState.LOADING: frozenset({WorkerState.READY, WorkerState.STOPPED}),
    WorkerState.READY: frozenset({WorkerState.BUSY, WorkerState.DRAINING, WorkerState.STOPPED}),
    WorkerState.BUSY: frozenset(
        {WorkerState.READY, WorkerState.STALLED, WorkerState.DRAINING, WorkerState.STOPPED}
    ),
    WorkerState.STALLED: frozenset(
        {WorkerState.READY, WorkerState.BUSY, WorkerState.DRAINING, WorkerState.STOPPED}
    ),
    WorkerState.DRAINING: frozenset({WorkerState.STOPPED}),
    WorkerState.STOPPED: frozenset(),
}

_ENDED = frozenset({ProvisioningState.SUCCEEDED, ProvisioningState.FAILED})
_ENDED_OR_DELETING = _ENDED | {ProvisioningState.DELETING}  # deleting need not wait for what it makes useless
DEPLOYMENT_MOVES: dict[ProvisioningState, frozenset[ProvisioningState]] = {
    ProvisioningState.CREATING: _ENDED_OR_DELETING,
    ProvisioningState.UPDATING: _ENDED_OR_DELETING,
    ProvisioningState.SCALING: _ENDED_OR_DELETING,
    ProvisioningState.SUCCEEDED: frozenset(
        {ProvisioningState.UPDATING, ProvisioningState.SCALING, ProvisioningState.DELETING}
    ),
    # CREATING: one that never served is tried again from the beginning
    ProvisioningState.FAILED: frozenset(
        {
            ProvisioningState.CREATING,
            ProvisioningState.UPDATING,
            ProvisioningState.SCALING,
            ProvisioningState.DELETING,
        }
    ),
    ProvisioningState.DELETING: frozenset({ProvisioningState.FAILED}),
}
# An endpoint goes the same ways, but has no instances of its own.
ENDPOINT_MOVES = {
    state: moves - {ProvisioningState.SCALING}
    for state, moves in DEPLOYMENT_MOVES.items()
    if state is not ProvisioningState.SCALING
}


def moved(moves: Mapping[State, frozenset[State]], at: State, to: State) -> State:
    """`to`, when the table lets one go there; staying where one is is always allowed. Raises ValueError."""
    if to is not at and to not in moves.get(at, frozenset()):
        raise ValueError(f"no way from {at.value} to {to.value}")
    return to


class Life:
    """The current state of a worker, which goes only where the table says."""

    def __init__(self) -> None:
        self.state = WorkerState.STARTING

    def move(self, to: WorkerState) -> None:
        """Go to `to`; staying where one is is always allowed. Raises ValueError for a move not in the table."""
        self.state = moved(WORKER_MOVES, self.state, to)
