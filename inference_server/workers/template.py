"""The front's side of WORKER_PRELOAD: one process that loads the script, and forks every worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from typing import Any

from inference_server.errors import StartError
from inference_server.scoring import wire
from inference_server.workers.channel import FrontChannel
from inference_server.workers.process import OnExit, Process, make_page, start_process
from inference_server.workers.spec import PoolSpec

STOP_SECONDS = 5.0


class Template:
    """Started at the first fork, and again after it ended or was renewed."""

    def __init__(self, spec: PoolSpec) -> None:
        self._spec = spec
        self._life: _TemplateLife | None = None
        self._starting = asyncio.Lock()

    async def fork(self) -> Process:
        """A new worker process that shares the loaded script. Raises StartError."""
        async with self._starting:
            if self._life is None or self._life.gone.done():
                self._life = await _TemplateLife.begin(self._spec)
            return await self._life.fork()

    def renew(self) -> None:
        """Load the script afresh for later forks; those that live keep their own copy."""
        if self._life is not None:
            life, self._life = self._life, None
            life.retire()

    async def stop(self) -> None:
        if self._life is not None:
            self._life.retire()
            await asyncio.wait({self._life.gone}, timeout=STOP_SECONDS)
            self._life.process.kill()


class _TemplateLife:
    """One template process, from its start to its end."""

    def __init__(self, process: Process, spec: PoolSpec) -> None:
        loop = asyncio.get_running_loop()
        self.process = process
        self.gone: asyncio.Future[int] = loop.create_future()
        self._loop = loop
        self._ready: asyncio.Future[None] = loop.create_future()
        self._failure: tuple[str, str] | None = None
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._tag = 0
        self._workers: dict[int, OnExit] = {}
        self._ends: dict[int, int] = {}  # of forks whose worker is not yet watched
        self._retired = False
        self._channel = FrontChannel(process.sock, loop, self._record, lambda: None, lambda: None)
        process.watch(loop, self._ended)
        config = spec.config.to_json()
        start = wire.TO_WORKER.pack(wire.START, 0, 0, 0, 0, len(config)) + config
        self._channel.send([start], len(start))

    @classmethod
    async def begin(cls, spec: PoolSpec) -> _TemplateLife:
        life = cls(await start_process(spec, template=True), spec)
        waiting: set[asyncio.Future[Any]] = {life._ready, life.gone}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if life.gone.done():
            summary, detail = life._failure or (f"the template exited with {life.gone.result()}", "")
            raise StartError(summary, detail)
        return life

    async def fork(self) -> Process:
        self._tag += 1
        forked: asyncio.Future[int] = self._loop.create_future()
        self._forks[self._tag] = forked
        front, theirs = socket.socketpair()
        page, descriptor = make_page()
        record = wire.TO_WORKER.pack(wire.FORK, 0, self._tag, 0, 0, 0)
        try:
            self._channel.send_with_descriptors(record, [theirs.fileno(), descriptor])
            pid = await forked
        except (OSError, StartError):
            front.close()
            raise
        finally:
            theirs.close()
            os.close(descriptor)
        return Process(pid, front, page, tell=self._tell_end)

    def _tell_end(self, pid: int, on_exit: OnExit) -> None:
        if pid in self._ends:
            self._loop.call_soon(on_exit, self._ends.pop(pid))
        else:
            self._workers[pid] = on_exit

    def retire(self) -> None:
        """Told to stop once none of its workers lives: their ends are only known to it."""
        self._retired = True
        self._stop_if_done()

    def _stop_if_done(self) -> None:
        if self._retired and not self._workers:
            stop = wire.TO_WORKER.pack(wire.STOP, 0, 0, 0, 0, 0)
            self._channel.send([stop], len(stop))

    def _record(
        self,
        kind: int,
        flags: int,
        content_type: int,
        tag: int,
        status: int,
        ms: float,
        headers: bytes,
        body: bytes,
    ) -> None:
        facts: dict[str, Any] = json.loads(body)
        if kind == wire.READY:
            self._ready.set_result(None)
        elif kind == wire.FAILED:
            self._failure = (str(facts["summary"]), str(facts["detail"]))
        elif kind == wire.FORKED:
            self._forks.pop(tag).set_result(int(facts["pid"]))
        elif kind == wire.EXITED:
            self._worker_ended(int(facts["pid"]), os.waitstatus_to_exitcode(int(facts["status"])))

    def _worker_ended(self, pid: int, status: int) -> None:
        on_exit = self._workers.pop(pid, None)
        if on_exit is None:
            self._ends[pid] = status
        else:
            on_exit(status)
        self._stop_if_done()

    def _ended(self, status: int) -> None:
        self._channel.drain()
        error = StartError(f"the template process ended with {status}")
        for forked in self._forks.values():
            if not forked.done():
                forked.set_exception(error)
        # its workers end with it, and nobody is left who could say how
        workers, self._workers = self._workers, {}
        for pid, on_exit in workers.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            on_exit(-signal.SIGKILL)
        self.gone.set_result(status)
