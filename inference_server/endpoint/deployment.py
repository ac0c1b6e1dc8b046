"""A deployment: one script, the requests that wait for it, and the workers that run it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic

from inference_server.batching.admission import Admission, Limits
from inference_server.batching.queue import Deadlines, Queue
from inference_server.endpoint.gate import FULL, Gate
from inference_server.endpoint.limits import RequestLimits, too_many
from inference_server.endpoint.timeouts import Timeouts
from inference_server.lifecycle import ServerState
from inference_server.messages import (
    DONE,
    SENT,
    WAITING,
    Answer,
    BatchingReport,
    HealthReport,
    ScoringRequest,
)
from inference_server.workers.answers import too_late, unavailable
from inference_server.workers.batch_pool import BatchPool
from inference_server.workers.pool import Observer, Pool
from inference_server.workers.requests import ScriptFacts
from inference_server.workers.spec import PoolSpec

DRAINING = "The server is shutting down."
NO_LIMITS = Limits()
DOWN = "The model cannot be served now. Try again later."


class Deployment:
    """Every submitted request is resolved exactly once: by a worker, a limit, or the end of the server."""

    def __init__(
        self,
        name: str,
        spec: PoolSpec,
        max_queue_size: int,
        max_queue_bytes: int,
        observer: Observer | None = None,
        limits: Limits = NO_LIMITS,
        request_limits: RequestLimits | None = None,
    ) -> None:
        self.name = name
        self.queue = Queue(max_queue_size, max_queue_bytes)
        observer = replace(observer or Observer(), down=self._go_down)
        self.pool: Pool
        self._batches: BatchPool | None = None
        if spec.batches:
            self.pool = pool = self._batches = BatchPool(spec, self.queue, observer)
            admission = Admission(limits, spec.config.max_batch_size, pool.seconds_now, lambda: pool.timed)
        else:
            self.pool = Pool(spec, self.queue, observer)
            admission = Admission(limits, 1, lambda rows: rows * self.queue.run_seconds, lambda: True)
        self.gate = Gate(self.queue, self.pool, admission, observer.refused)
        self.submit = self._submit_weighed if admission.limited else self._submit
        if spec.debugged:
            self.submit = self._submit_patient
        self.request_limits = request_limits  # may be another at any moment, as when instances are added
        self._take = self.submit
        if request_limits is not None:
            self.submit = self._submit_limited
        self._debugged = spec.debugged
        self.draining = False
        self._deadlines = Deadlines()
        self._timeouts = Timeouts(self._time_out)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # monotonic seconds
        self._loop = asyncio.get_running_loop()

    @property
    def facts(self) -> ScriptFacts | None:
        """What the script needs and offers; None until a worker has been ready."""
        return self.pool.facts

    # ------------------------------------------------------------ admission

    # `submit(request)`: queue the request, or resolve it at once when it cannot be taken: 503 when the server is
    # full or ends, 429 when it would wait for too long or is one too many. It is one of the next four.

    def _submit(self, request: ScoringRequest) -> None:
        if self.draining:
            request.resolve(unavailable(DRAINING))
        elif self.pool.down:
            request.resolve(unavailable(DOWN))
        elif request.deadline:
            self._submit_weighed(request)
        elif not self.queue.admit(request):
            request.resolve(unavailable(FULL))
        else:
            if self._batches is not None:
                self._batches.arrived(request, monotonic())
            self.pool.schedule()

    def _submit_weighed(self, request: ScoringRequest) -> None:
        answer = self._closed() or self.gate.let_in(request)
        if answer is not None:
            request.resolve(answer)
            return
        if self._batches is not None:
            self._batches.arrived(request, monotonic())
        self.queue.admit(request)
        if request.deadline:
            self._deadlines.add(request)
            self._set_timer()
        self.pool.schedule()

    def _submit_patient(self, request: ScoringRequest) -> None:
        """Under a debugger run() may stand still for long: no deadline holds."""
        request.deadline = 0.0
        self._submit(request)

    def _submit_limited(self, request: ScoringRequest) -> None:
        """As a deployment of an endpoint: not more at once than its settings say, nor for longer."""
        limits = self.request_limits
        if limits is not None:
            in_flight = self.in_flight()
            if in_flight >= limits.most_in_flight:
                request.resolve(too_many(limits))
                return
            if limits.timeout and not self._debugged:
                self._timeouts.add(request, limits.timeout, in_flight)
        self._take(request)

    def in_flight(self) -> int:
        """Requests that wait here, and those the workers have."""
        return len(self.queue) + self.pool.held()

    def _closed(self) -> Answer | None:
        if self.draining:
            return unavailable(DRAINING)
        return unavailable(DOWN) if self.pool.down else None

    def refusal(self, body_bytes: int, deadline: float) -> Answer | None:
        """What a request with such a body would be answered at once; None: it would be taken in. See `Gate.refusal`."""
        limits = self.request_limits
        if limits is not None and self.in_flight() >= limits.most_in_flight:
            return too_many(limits)
        return self._closed() or self.gate.refusal(body_bytes, 0.0 if self._debugged else deadline)

    def leave(self, request: ScoringRequest) -> None:
        """The caller has gone: a request that was not begun is not run, an answer that comes is dropped."""
        state = request.state
        request.state = DONE
        self.gate.left(request)
        self._not_wanted(request, state)

    def _not_wanted(self, request: ScoringRequest, state: int) -> None:
        """The request was in `state` when its answer stopped to matter."""
        if state == WAITING:
            self.queue.left(request)
        elif state == SENT:
            self.pool.left(request)

    def batching(self) -> BatchingReport | None:
        """How its requests are batched; None: they are not."""
        return self._batches.batching() if self._batches is not None else None

    def fail(self, why: str) -> None:
        """Nobody will ever take these requests."""
        self.pool.down = why
        self._go_down(why)

    def _go_down(self, why: str) -> None:
        self._refuse_waiting(DOWN)

    def _refuse_waiting(self, why: str) -> None:
        for request in self.queue.take(len(self.queue)):
            request.resolve(unavailable(why))

    # ------------------------------------------------------------ deadlines

    def _set_timer(self) -> None:
        first = self._deadlines.next()
        if self._timer is not None:
            if first is not None and self._timer_at <= first:
                return
            self._timer.cancel()
            self._timer = None
        if first is not None:
            self._timer_at = first  # a handle of uvloop may not know when it is due
            self._timer = self._loop.call_later(max(0.0, first - monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        for request in self._deadlines.expired(monotonic()):
            self._time_out(request)
        self._set_timer()

    def _time_out(self, request: ScoringRequest) -> None:
        state = request.state
        request.resolve(too_late())
        self._not_wanted(request, state)

    # ------------------------------------------------------------ health

    def health(self) -> HealthReport:
        """A reading of the workers' states as they are now."""
        pool = self.pool
        state, reason = self._state()
        return HealthReport(
            state,
            reason,
            pool.facts is not None,
            len(self.queue),
            tuple(pool.reports()),
            self.batching(),
            pool.reload.report(),
        )

    def _state(self) -> tuple[ServerState, str]:
        pool = self.pool
        if self.draining:
            return ServerState.DRAINING, "finishes what was accepted, then stops"
        if pool.serving:
            return ServerState.READY, f"{pool.serving} of {pool.size} worker(s) serve"
        if pool.facts is None and not pool.down:
            making = pool.spec.model_environment
            return ServerState.STARTING, (making and making.doing) or "the first worker is not ready yet"
        return ServerState.UNAVAILABLE, pool.down or "no worker serves now; one is being started"

    # ------------------------------------------------------------ life

    async def start(self, must: bool = True) -> None:
        """Start the workers; see `Pool.start`. Raises StartError."""
        await self.pool.start(must)

    async def stop(self, grace: float) -> None:
        """Take nothing new, finish what was accepted within `grace` seconds, end the workers."""
        self.draining = True
        end = monotonic() + grace
        while (len(self.queue) or self.pool.in_hand()) and monotonic() < end:
            await asyncio.sleep(0.02)
        self._refuse_waiting(DRAINING)
        await self.pool.stop(max(0.0, end - monotonic()))
        self._refuse_waiting(DRAINING)  # what a worker gave back when it was ended
        self._timeouts.close()
