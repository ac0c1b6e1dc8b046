"""The place of one worker: who fills it now, and what happened to those before."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic

from inference_server.lifecycle import WorkerState
from inference_server.messages import WorkerReport
from inference_server.workers.worker import Worker

FIRST_DELAY = 0.1  # seconds before the second attempt to start a worker that does not come up; then doubling
DOUBLINGS = 10
LONGEST_DELAY = 30.0
CRASH_DELAY = 2.0  # the longest for workers that do come up, and die before they have answered anything


class Slot:
    """One task fills it: `needs_worker` says when. Everybody else only says what has happened."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.worker: Worker | None = None  # in service
        self.coming: Worker | None = None  # starting, perhaps while `worker` still serves
        self.asked: asyncio.Future[str] | None = None  # somebody wants a new worker; see `ask`
        self.task: asyncio.Task[None] | None = None
        self.retry_at = 0.0  # monotonic seconds; not before does the next attempt begin by itself
        self.restarts = 0
        self._failures = 0  # in a row: processes that ended before they had answered anything
        self._last_error = ""
        self._changed = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether a process is being started or was asked for."""
        return self.coming is not None or self.asked is not None

    def ask(self) -> asyncio.Future[str]:
        """Have the worker replaced; the future is done once that was tried, or nobody fills the slot any more.

        It holds why the new one did not start; empty when it did.
        """
        if self.asked is None:
            self.asked = asyncio.get_running_loop().create_future()
        self._changed.set()
        return self.asked

    def abandon(self) -> None:
        """Nobody fills this slot any more; a worker in service stays what it is."""
        if self.task is not None:
            self.task.cancel()
        if self.coming is not None:
            self.coming.kill("it is not needed any more")
        if self.asked is not None:
            self.asked.set_result("")
            self.asked = None

    async def needs_worker(self) -> None:
        """Returns when a process is to be started: at once when asked, else when the place is empty."""
        while self.asked is None:
            self._changed.clear()
            wait = self.retry_at - monotonic() if self.worker is None else None
            if wait is not None and wait <= 0:
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait)

    def failed(self, why: str) -> None:
        """A process did not come up."""
        self._fail(why, LONGEST_DELAY)

    def renewed(self) -> None:
        """New code has come up: what happened to the old is of no interest."""
        self._failures = 0
        self._last_error = ""

    def crashed(self, why: str, answered: bool) -> None:
        """The worker died in service: a new one comes at once, unless they die before they answer anything."""
        self.restarts += 1
        if answered:
            self._failures = 0
        self._fail(why, CRASH_DELAY)
        self._changed.set()

    def _fail(self, why: str, longest: float) -> None:
        self._last_error = why
        self._failures += 1
        self.retry_at = 0.0
        if self._failures > 1:
            delay = FIRST_DELAY * 2 ** min(self._failures - 2, DOUBLINGS)
            self.retry_at = monotonic() + min(delay, longest)

    def report(self) -> WorkerReport:
        """As the health routes show it."""
        worker = self.worker or self.coming
        if worker is None:
            wait = self.retry_at - monotonic()
            reason = f"next start in {wait:.1f} s" if wait > 0 else "is being started"
            return self._report(0, WorkerState.STARTING, 0.0, reason)
        state = worker.life.state
        reason = worker.doing
        if state is WorkerState.BUSY:
            count, seconds = len(worker.in_hand), worker.busy_seconds()
            reason = f"busy with {count} request(s), the present one for {seconds:.3f} s"
        elif state is WorkerState.READY:
            reason = "waits for requests"
        return self._report(worker.pid, state, monotonic() - worker.since, reason, len(worker.in_hand))

    def _report(
        self, pid: int, state: WorkerState, seconds: float, reason: str, in_hand: int = 0
    ) -> WorkerReport:
        return WorkerReport(
            self.number, pid, state, seconds, self.restarts, self._last_error, reason, in_hand
        )
