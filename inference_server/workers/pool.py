"""A deployment's workers: keeps their number, replaces those that end, gives requests to those with room."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any

from inference_server.batching.admission import Load
from inference_server.batching.queue import Queue
from inference_server.errors import StartError
from inference_server.messages import DONE, ScoringRequest, WorkerReport
from inference_server.workers.attach import EDITOR_SECONDS, Doors
from inference_server.workers.batch_worker import Batch
from inference_server.workers.changes import Files
from inference_server.workers.memory import resident_bytes
from inference_server.workers.process import Process, start_process
from inference_server.workers.reload import Reload
from inference_server.workers.requests import ScriptFacts
from inference_server.workers.slot import Slot
from inference_server.workers.spec import PoolSpec
from inference_server.workers.template import Template
from inference_server.workers.worker import EXIT_SECONDS, Calls, Worker

LOOK_SECONDS = 1.0  # how often the workers' memory is looked at

logger = logging.getLogger("azmlinfsrv")


@dataclass(frozen=True)
class Observer:
    """What the pool tells whoever counts."""

    restarted: Callable[[str], None] = lambda reason: None
    timed_out: Callable[[], None] = lambda: None
    log: Callable[[dict[str, Any], ScoringRequest | None], None] = lambda entry, request: None
    ran: Callable[[Batch], None] = lambda batch: None  # one run() call of a worker that batches
    refused: Callable[[str], None] = lambda reason: None  # a request was not taken in
    again: Callable[[int], None] = lambda count: None  # so many requests are run once more, each alone
    down: Callable[[str], None] = lambda why: None  # nobody serves, and it will take a while


class Pool:
    """`start` returns when every worker is ready; from then on the pool holds their number by itself."""

    def __init__(self, spec: PoolSpec, queue: Queue, observer: Observer | None = None) -> None:
        self.spec = spec
        self.queue = queue
        self.facts: ScriptFacts | None = None
        self.observer = observer or Observer()
        self.down = ""  # why nobody takes requests now; empty: somebody does or soon will
        self._loop = asyncio.get_running_loop()
        self._slots: list[Slot] = []
        self._serving: list[Worker] = []
        self._leaving: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._first: asyncio.Future[None] = self._loop.create_future()
        self._scheduled = False
        self._stopping = False
        self.template: Template | None = Template(spec) if spec.preload else None
        self.files = Files()
        self.reload = Reload(self, spec.drain_first)
        self._doors = Doors(*spec.attach) if spec.attach is not None else None
        self._calls = Calls(
            self.dispatch, self._put_back, queue.learn, self.observer.log, self.observer.timed_out
        )

    # ------------------------------------------------------------ requests

    def schedule(self) -> None:
        """Have `dispatch` run once this turn of the loop has gathered its requests."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.dispatch)

    def dispatch(self) -> None:
        """Give waiting requests to the workers that have room, a frame each."""
        self._scheduled = False
        queue = self.queue
        if not len(queue):
            return
        free = [worker for worker in self._serving if worker.room()]
        if len(free) > 1:
            free.sort(key=_load)
        now = monotonic()
        while free and len(queue):
            worker = free[0]
            if worker.one_by_one:
                count = 1
                free.append(free.pop(0))
            else:
                count = queue.frame(len(worker.in_hand), len(free))
                free.pop(0)
            if count > 0:
                requests = queue.take(count)
                if requests:
                    worker.send(requests, now)
            free = [worker for worker in free if worker.room()]

    def _put_back(self, requests: list[ScoringRequest]) -> None:
        self.queue.put_back(requests)
        self.schedule()

    def in_hand(self) -> int:
        """Requests that workers hold and whose callers still wait."""
        return sum(
            request.state != DONE
            for worker in (*self._serving, *self._leaving)
            for request in worker.in_hand.values()
        )

    def held(self) -> int:
        """Requests that workers hold, those included whose callers have left."""
        return sum([len(worker.in_hand) for worker in (*self._serving, *self._leaving)])

    def left(self, request: ScoringRequest) -> None:
        """The caller of a request that was sent is gone. A worker that runs one after the other just answers it."""

    def rows_of_body(self, body_bytes: int) -> int:
        """How many rows a request with such a body is predicted to have."""
        return 1

    def load(self) -> Load:
        """What is being done, for those who predict how long a request would wait."""
        workers = self._serving
        now = monotonic()
        in_hand = [len(worker.in_hand) for worker in workers]
        behind = sum(count - 1 for count in in_hand if count)
        waiting = len(self.queue)
        busy = [
            max(0.0, worker.began() + self.queue.run_seconds - now) if worker.in_hand else 0.0
            for worker in workers
        ]
        return Load(waiting + sum(in_hand), waiting + behind, busy)

    # ------------------------------------------------------------ life

    async def start(self, must: bool = True) -> None:
        """Start all workers. Raises StartError when one of them cannot: then the others are ended.

        Without `must` this returns at once, and a worker that does not start is tried again like a later one.
        """
        if not must:
            self._first.set_result(None)
        self.scale_to(self.spec.worker_count)
        if self.spec.max_worker_rss:
            self._background(self._watch_memory())
        try:
            await self._first
        except StartError:
            await self.stop(0.0)
            raise

    def scale_to(self, count: int) -> None:
        """Have `count` workers, at least one; surplus ones finish what they have."""
        while len(self._slots) < max(1, count):
            slot = Slot(len(self._slots) + 1)
            self._slots.append(slot)
            slot.task = asyncio.create_task(self._keep(slot))
        while len(self._slots) > max(1, count):
            slot = self._slots.pop()
            slot.abandon()
            if slot.worker is not None:
                self.let_go(slot.worker)
        self._note_first()

    @property
    def size(self) -> int:
        return len(self._slots)

    def roll(self, why: str = "asked for") -> None:
        """Replace every worker by a new one that has loaded the script afresh, one after the other."""
        if self.reload.ask(why):
            self._background(self.reload.run())

    @property
    def slots(self) -> list[Slot]:
        """Those that are filled now and in future."""
        return [] if self._stopping else list(self._slots)

    @property
    def loading(self) -> bool:
        """Whether a worker is being started, or was asked for."""
        return any(slot.busy for slot in self._slots)

    async def empty(self, slot: Slot) -> None:
        """Have the worker of a slot finish what it has, then leave, before another is asked for."""
        worker, slot.worker = slot.worker, None
        if worker is not None:
            self.let_go(worker)
            await asyncio.wait({worker.ended})

    async def stop(self, grace: float) -> None:
        """End all workers: what they have in hand may take `grace` seconds more."""
        self._stopping = True
        if self._doors is not None:
            self._doors.stop()
        workers = {*self._serving, *self._leaving, *(slot.coming for slot in self._slots if slot.coming)}
        for task in self._tasks:
            task.cancel()
        for slot in self._slots:
            slot.abandon()
        for worker in workers:
            worker.drain()
        if workers:
            ends = [worker.ended for worker in workers]
            _, late = await asyncio.wait(ends, timeout=grace)
            if late:
                for worker in workers:
                    worker.kill("the server stops")
                await asyncio.wait(late, timeout=EXIT_SECONDS)
        filling = [slot.task for slot in self._slots if slot.task is not None]
        if filling:  # what they were just starting is ended with them
            await asyncio.wait(filling, timeout=EXIT_SECONDS)
        if self.template is not None:
            await self.template.stop()
        if self._doors is not None:
            self._doors.close()

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------ one slot

    async def _keep(self, slot: Slot) -> None:
        """Fill a slot until this task is cancelled."""
        while not self._stopping:
            await slot.needs_worker()
            asked, slot.asked = slot.asked, None
            failed = ""
            try:
                self._enter(slot, await self._boot(slot))
            except StartError as error:
                failed = error.summary
                self.files.add(error.files)
                self._not_started(slot, error)
            finally:
                if asked is not None:
                    asked.set_result(failed)

    async def _boot(self, slot: Slot) -> Worker:
        """Start a process and wait until its script is loaded. Raises StartError."""
        spec, door = self.spec, None
        if self._doors is not None:
            door = await self._doors.of(slot.number)
            if door.in_use:
                spec = replace(spec, config=spec.config._replace(debug_wait=EDITOR_SECONDS))
        worker = self._worker(slot.number, await self._process(slot.number), spec)
        if door is not None:
            worker.debugger = partial(door.debugger, ended=worker.ended)
        slot.coming = worker
        limit = self.spec.boot_timeout
        try:
            either: set[asyncio.Future[Any]] = {worker.ready, worker.ended}
            await asyncio.wait(either, timeout=limit or None, return_when=asyncio.FIRST_COMPLETED)
            if not worker.ready.done() and not worker.ended.done():
                worker.kill(f"import and init() took longer than {limit:g} s")
                await worker.ended
        except asyncio.CancelledError:
            worker.kill("it is not needed any more")
            raise
        finally:
            slot.coming = None
        if worker.ended.done():  # perhaps after it was ready
            end = worker.ended.result()
            summary = end.summary or f"the process exited with code {end.status}"
            raise StartError(summary, end.detail, worker.files)
        self.facts = worker.ready.result()
        self.files.add(self.facts.files)
        worker.imported = self.files.add
        return worker

    def _worker(self, number: int, process: Process, spec: PoolSpec) -> Worker:
        return Worker(number, process, spec, self._calls)

    async def _process(self, number: int) -> Process:
        try:
            if self.template is not None:
                return await self.template.fork()
            return await start_process(self.spec, number)
        except OSError as error:
            raise StartError(f"a worker cannot be started: {error}") from error

    def _enter(self, slot: Slot, worker: Worker) -> None:
        """Put a worker into service, in the place of the one it replaces."""
        before, slot.worker = slot.worker, worker
        if before is not None:
            self.let_go(before)
        slot.retry_at = 0.0
        self._serving.append(worker)
        self.down = ""
        worker.ended.add_done_callback(lambda _: self._gone(slot, worker))
        self._limit_requests(slot, worker)
        self._note_first()
        self.dispatch()

    def _limit_requests(self, slot: Slot, worker: Worker) -> None:
        if self.spec.max_requests:
            more = random.randint(0, self.spec.max_requests_jitter)
            worker.replace_after(self.spec.max_requests + more, lambda: self._recycle(slot, "max_requests"))

    def _recycle(self, slot: Slot, reason: str) -> None:
        self.observer.restarted(reason)
        slot.ask()

    def _note_first(self) -> None:
        if not self._first.done() and all(slot.worker for slot in self._slots):
            self._first.set_result(None)

    def _not_started(self, slot: Slot, error: StartError) -> None:
        """A first failure ends `start`; a later one is tried again, after a while when it repeats."""
        if self._stopping:
            return
        if not self._first.done():
            self._stopping = True
            self._first.set_exception(error)
            return
        slot.failed(error.summary)
        if slot.worker is not None and self.reload.running:  # which says what this means
            self._limit_requests(slot, slot.worker)
            return
        logger.error("Worker %d: %s", slot.number, error.summary)  # it has logged the traceback itself
        if slot.worker is not None:
            logger.error("Worker %d keeps serving: its replacement did not start", slot.number)
            self._limit_requests(slot, slot.worker)
        elif not self._serving and slot.retry_at:
            self.down = f"no worker comes up; the last one: {error.summary}"
            self.observer.down(self.down)

    def let_go(self, worker: Worker) -> None:
        """Take a worker out of service; it finishes what it has and exits."""
        if worker in self._serving:
            self._serving.remove(worker)
            self._leaving.add(worker)
        worker.drain()

    def _gone(self, slot: Slot, worker: Worker) -> None:
        """A worker has ended. If it was in service, its place is filled again."""
        self._leaving.discard(worker)
        if worker in self._serving:
            self._serving.remove(worker)
        if slot.worker is not worker:
            return
        slot.worker = None
        if self._stopping or slot not in self._slots:
            return
        end = worker.ended.result()
        self.observer.restarted("killed" if worker.killed_because else "crashed")
        summary = end.summary or f"the process exited with code {end.status}"
        logger.error("Worker %d: %s", slot.number, summary)
        slot.crashed(summary, worker.answered > 0)

    async def _watch_memory(self) -> None:
        """Replace a worker that has grown over its limit."""
        limit = self.spec.max_worker_rss
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for slot in self._slots:
                if slot.worker is None or slot.busy or slot.retry_at > monotonic():
                    continue
                resident = resident_bytes(slot.worker.pid)
                if resident > limit:
                    logger.info(
                        "Worker %d (pid %d) holds %d bytes, over max_worker_rss; it is being replaced",
                        slot.number,
                        slot.worker.pid,
                        resident,
                    )
                    self._recycle(slot, "rss")

    # ------------------------------------------------------------ readiness

    def reports(self) -> list[WorkerReport]:
        return [slot.report() for slot in self._slots]

    @property
    def serving(self) -> int:
        """How many workers are in service."""
        return len(self._serving)


def _load(worker: Worker) -> int:
    return len(worker.in_hand)
