"""The states a worker and a server go through, and the only moves between them.

Transitions are data: a state machine that is not in these tables does not exist. A move that is not in
its table is a programming error and raises, it is never ignored.
"""

from __future__ import annotations

from enum import Enum
from typing import Generic, TypeVar


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
    """The front and everything behind it."""

    STARTING = "starting"  # no worker has been ready yet
    READY = "ready"  # at least one worker can take requests
    UNAVAILABLE = "unavailable"  # was ready once; now no worker is
    DRAINING = "draining"  # finishes what was accepted, accepts nothing
    STOPPED = "stopped"


State = TypeVar("State", WorkerState, ServerState)

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

SERVER_MOVES: dict[ServerState, frozenset[ServerState]] = {
    ServerState.STARTING: frozenset({ServerState.READY, ServerState.DRAINING, ServerState.STOPPED}),
    ServerState.READY: frozenset({ServerState.UNAVAILABLE, ServerState.DRAINING, ServerState.STOPPED}),
    ServerState.UNAVAILABLE: frozenset({ServerState.READY, ServerState.DRAINING, ServerState.STOPPED}),
    ServerState.DRAINING: frozenset({ServerState.STOPPED}),
    ServerState.STOPPED: frozenset(),
}


class Life(Generic[State]):
    """A current state and the table that says where it may go."""

    def __init__(self, start: State, moves: dict[State, frozenset[State]]) -> None:
        self.state: State = start
        self._moves: dict[State, frozenset[State]] = moves

    def move(self, to: State) -> None:
        """Go to `to`; staying where one is is always allowed. Raises ValueError for a move not in the table."""
        if to is self.state:
            return
        if to not in self._moves[self.state]:
            raise ValueError(f"no way from {self.state.value} to {to.value}")
        self.state = to
