"""The states a worker goes through and the only moves between them; the states of a server, read off its workers.

Transitions are data. A move that is not in the table is a programming error and raises, it is never ignored.
"""

from __future__ import annotations

from enum import Enum


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


class Life:
    """The current state of a worker, which goes only where the table says."""

    def __init__(self) -> None:
        self.state = WorkerState.STARTING

    def move(self, to: WorkerState) -> None:
        """Go to `to`; staying where one is is always allowed. Raises ValueError for a move not in the table."""
        if to is self.state:
            return
        if to not in WORKER_MOVES[self.state]:
            raise ValueError(f"no way from {self.state.value} to {to.value}")
        self.state = to
