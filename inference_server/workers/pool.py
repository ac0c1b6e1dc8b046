"""A deployment's workers: keeps their number, replaces those that end, gives requests to those with room."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any

from inference_server.batching.queue import Queue
from inference_server.errors import StartError
from inference_server.lifecycle import WorkerState
from inference_server.messages import DONE, ScoringRequest, WorkerReport
from inference_server.workers.process import start_process
from inference_server.workers.requests import ScriptFacts
from inference_server.workers.spec import PoolSpec
from inference_server.workers.template import Template
from inference_server.workers.worker import Calls, End, Worker

FIRST_DELAY = 0.1  # seconds before the second attempt to start a worker that does not come up; then doubling
LONGEST_DELAY = 30.0
EXIT_SECONDS = 5.0  # for a worker that was told to stop: its atexit handlers
RSS_SECONDS = 1.0

logger = logging.getLogger("azmlinfsrv")


@dataclass(frozen=True)
class Observer:
    """What the pool tells whoever counts."""

    restarted: Callable[[str], None] = lambda reason: None
    timed_out: Callable[[], None] = lambda: None
    log: Callable[[dict[str, Any], ScoringRequest | None], None] = lambda entry, request: None
    down: Callable[[str], None] = lambda why: None  # nobody serves, and it will take a while


class Slot:
    """The place of one worker: who fills it now, and what happened to those before."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.worker: Worker | None = None
        self.coming: Worker | None = None  # starting, perhaps while `worker` still serves
        self.wanted = True
        self.replace: asyncio.Event = asyncio.Event()
        self.restarts = 0
        self.failures = 0  # in a row: workers that ended before they had answered anything
        self.last_error = ""
        self.retry_at = 0.0
        self.task: asyncio.Task[None] | None = None


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
        self._template: Template | None = Template(spec) if spec.preload else None
        self._rss_task: asyncio.Task[None] | None = None
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

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Start all workers. Raises StartError when one of them cannot: then the others are ended."""
        self.scale_to(self.spec.worker_count)
        if self.spec.max_worker_rss:
            self._rss_task = asyncio.create_task(self._watch_rss())
        await self._first

    def scale_to(self, count: int) -> None:
        """Have `count` workers, at least one; surplus ones finish what they have."""
        while len(self._slots) < max(1, count):
            slot = Slot(len(self._slots) + 1)
            self._slots.append(slot)
            slot.task = asyncio.create_task(self._keep(slot))
        while len(self._slots) > max(1, count):
            slot = self._slots.pop()
            slot.wanted = False
            slot.replace.set()

    @property
    def size(self) -> int:
        return len(self._slots)

    def roll(self) -> None:
        """Replace every worker by a new one that has loaded the script afresh, one after the other."""
        self._background(self._roll())

    async def _roll(self) -> None:
        if self._template is not None:
            self._template.renew()
        for slot in list(self._slots):
            before = slot.worker
            slot.replace.set()
            while slot.wanted and slot.replace.is_set() and slot.worker is before and not self._stopping:
                await asyncio.sleep(0.05)

    async def stop(self, grace: float) -> None:
        """End all workers: what they have in hand may take `grace` seconds more."""
        self._stopping = True
        if self._rss_task is not None:
            self._rss_task.cancel()
        workers = {slot.worker for slot in self._slots if slot.worker} | self._leaving
        for slot in self._slots:
            slot.wanted = False
            if slot.task is not None:
                slot.task.cancel()
            if slot.coming is not None:
                slot.coming.kill("the server stops")
                workers.add(slot.coming)
        for worker in workers:
            worker.drain()
        ends = [worker.ended for worker in workers]
        if ends:
            _, late = await asyncio.wait(ends, timeout=grace)
            if late:
                for worker in workers:
                    if not worker.ended.done():
                        worker.kill("the server stops")
                await asyncio.wait(ends, timeout=EXIT_SECONDS)
        if self._template is not None:
            await self._template.stop()

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------ one slot

    async def _keep(self, slot: Slot) -> None:
        """Fill a slot for as long as it is wanted."""
        while slot.wanted:
            try:
                worker = await self._boot(slot)
            except StartError as error:
                if not self._first.done():
                    self._first.set_exception(error)
                    return
                self._failed(slot, error.summary, error.detail)
                await self._back_off(slot)
                continue
            self._enter(slot, worker)
            await self._hold(slot)

    async def _hold(self, slot: Slot) -> None:
        """Until the slot's worker has ended; replacements that were asked for take place meanwhile."""
        while True:
            worker = slot.worker
            assert worker is not None
            wish = asyncio.ensure_future(slot.replace.wait())
            either: set[asyncio.Future[Any]] = {worker.ended, wish}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            wish.cancel()
            if worker.ended.done():
                slot.worker = None
                self._left(worker)
                await self._ended(slot, worker, worker.ended.result())
                return
            slot.replace.clear()
            if not slot.wanted:
                slot.worker = None
                self._let_go(worker)
                return
            try:
                successor = await self._boot(slot)
            except StartError as error:
                self._failed(slot, error.summary, error.detail)
                logger.error("Worker %d keeps serving: its replacement did not start", slot.number)
                continue
            slot.worker = None
            self._let_go(worker)
            self._enter(slot, successor)

    async def _boot(self, slot: Slot) -> Worker:
        """Start a process and wait until its script is loaded. Raises StartError."""
        if self._template is not None:
            process = await self._template.fork()
        else:
            process = await start_process(self.spec)
        worker = Worker(slot.number, process, self.spec, self._calls)
        slot.coming = worker
        try:
            either: set[asyncio.Future[Any]] = {worker.ready, worker.ended}
            await asyncio.wait(
                either,
                timeout=self.spec.boot_timeout or None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if worker.ready.done() and not worker.ready.cancelled():
                self.facts = worker.ready.result()
                return worker
            if not worker.ended.done():
                worker.kill(f"import and init() took longer than {self.spec.boot_timeout:g} s")
            end = await worker.ended
        except asyncio.CancelledError:
            worker.kill("the server stops")
            raise
        finally:
            slot.coming = None
        raise StartError(end.summary or f"the worker exited with code {end.status}", end.detail)

    def _enter(self, slot: Slot, worker: Worker) -> None:
        slot.worker = worker
        slot.retry_at = 0.0
        self._serving.append(worker)
        self.down = ""
        if self.spec.max_requests:
            limit = self.spec.max_requests + random.randint(0, self.spec.max_requests_jitter)
            worker.replace_after(limit, slot.replace.set)
        if not self._first.done() and all(each.worker for each in self._slots):
            self._first.set_result(None)
        self.dispatch()

    def _left(self, worker: Worker) -> None:
        if worker in self._serving:
            self._serving.remove(worker)

    def _let_go(self, worker: Worker) -> None:
        """Take a worker out of service; it finishes what it has and exits."""
        self._left(worker)
        self._leaving.add(worker)
        worker.drain()
        self._background(self._see_off(worker))

    async def _see_off(self, worker: Worker) -> None:
        while worker.in_hand and not worker.ended.done():
            await asyncio.wait({worker.ended}, timeout=0.1)
        await asyncio.wait({worker.ended}, timeout=EXIT_SECONDS)
        worker.kill("it did not exit when it was told to")
        await worker.ended
        self._leaving.discard(worker)

    async def _ended(self, slot: Slot, worker: Worker, end: End) -> None:
        """A worker in service died: replaced at once, unless such workers die before they answer anything."""
        if self._stopping or not slot.wanted:
            return
        slot.restarts += 1
        self.observer.restarted("killed" if worker.killed_because else "crashed")
        self._failed(slot, end.summary or f"the process exited with code {end.status}", end.detail)
        if worker.answered:
            slot.failures = 0
        else:
            await self._back_off(slot)

    def _failed(self, slot: Slot, summary: str, detail: str) -> None:
        slot.failures += 1
        slot.last_error = summary
        logger.error("Worker %d: %s%s", slot.number, summary, "\n" + detail.rstrip() if detail else "")

    async def _back_off(self, slot: Slot) -> None:
        """Wait before the next attempt; the first one after a good life is made at once."""
        if slot.failures <= 1:
            return
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (slot.failures - 2))
        slot.retry_at = monotonic() + delay
        if not self._serving:
            self.down = f"no worker comes up; the last one: {slot.last_error}"
            self.observer.down(self.down)
        await asyncio.sleep(delay)

    async def _watch_rss(self) -> None:
        """Replace a worker that has grown over its limit."""
        page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
        while True:
            await asyncio.sleep(RSS_SECONDS)
            for slot in self._slots:
                worker = slot.worker
                if worker is None or slot.replace.is_set():
                    continue
                try:
                    with open(f"/proc/{worker.pid}/statm") as file:
                        resident = int(file.read().split()[1]) * page
                except OSError:
                    continue
                if resident > self.spec.max_worker_rss:
                    logger.info(
                        "Worker %d (pid %d) holds %d bytes, over max_worker_rss; it is being replaced",
                        slot.number,
                        worker.pid,
                        resident,
                    )
                    self.observer.restarted("rss")
                    slot.replace.set()

    # ------------------------------------------------------------ readiness

    def reports(self) -> list[WorkerReport]:
        return [_report(slot) for slot in self._slots]

    @property
    def serving(self) -> int:
        """How many workers are in service."""
        return len(self._serving)


def _load(worker: Worker) -> int:
    return len(worker.in_hand)


def _report(slot: Slot) -> WorkerReport:
    worker = slot.worker or slot.coming
    if worker is None:
        wait = slot.retry_at - monotonic()
        reason = f"next start in {wait:.1f} s" if wait > 0 else "is being started"
        return WorkerReport(slot.number, 0, WorkerState.STARTING, 0.0, slot.restarts, slot.last_error, reason)
    state = worker.life.state
    reason = worker.doing
    if state is WorkerState.BUSY:
        reason = (
            f"busy with {len(worker.in_hand)} request(s), the present one for {worker.busy_seconds():.3f} s"
        )
    elif state is WorkerState.READY:
        reason = "waits for requests"
    return WorkerReport(
        slot.number,
        worker.pid,
        state,
        monotonic() - worker.since,
        slot.restarts,
        slot.last_error,
        reason,
    )
