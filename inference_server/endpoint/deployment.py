"""A deployment: one script, the requests that wait for it, and the workers that run it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic

from inference_server.batching.queue import Deadlines, Queue
from inference_server.messages import DONE, WAITING, ScoringRequest
from inference_server.workers.answers import too_late, unavailable
from inference_server.workers.pool import Observer, Pool
from inference_server.workers.requests import ScriptFacts
from inference_server.workers.spec import PoolSpec

FULL = "The server has as many waiting requests as it may hold. Try again later."
DRAINING = "The server is shutting down."
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
    ) -> None:
        self.name = name
        self.queue = Queue(max_queue_size, max_queue_bytes)
        self.pool = Pool(spec, self.queue, replace(observer or Observer(), down=self._go_down))
        self.draining = False
        self._deadlines = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def facts(self) -> ScriptFacts | None:
        """What the script needs and offers; None until a worker has been ready."""
        return self.pool.facts

    def submit(self, request: ScoringRequest) -> None:
        """Queue the request, or resolve it at once with 503 when it cannot be taken."""
        if self.draining:
            request.resolve(unavailable(DRAINING))
        elif self.pool.down:
            request.resolve(unavailable(DOWN))
        elif not self.queue.admit(request):
            request.resolve(unavailable(FULL))
        else:
            if request.deadline:
                self._deadlines.add(request)
                self._set_timer()
            self.pool.schedule()

    def leave(self, request: ScoringRequest) -> None:
        """The caller has gone: a request that still waits is not run, an answer that comes is dropped."""
        state = request.state
        request.state = DONE
        if state == WAITING:
            self.queue.left(request)

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
            if first is not None and self._timer.when() <= self._loop.time() + first - monotonic():
                return
            self._timer.cancel()
            self._timer = None
        if first is not None:
            self._timer = self._loop.call_later(max(0.0, first - monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        for request in self._deadlines.expired(monotonic()):
            waited = request.state == WAITING
            request.resolve(too_late())
            if waited:
                self.queue.left(request)
        self._set_timer()

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
