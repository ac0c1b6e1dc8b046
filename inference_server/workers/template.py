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
        self._loading = asyncio.Lock()
        self._renewals = 0

    async def fork(self) -> Process:
        """A new worker process that shares the loaded script. Raises StartError."""
        async with self._loading:
            while (life := self._life) is None or life.gone.done():
                await self._load()
            return await life.fork()

    async def _load(self) -> None:
        renewals, self._life = self._renewals, None
        life = _TemplateLife(await start_process(self._spec, template=True), self._spec)
        await life.loaded(self._spec.boot_timeout)
        if renewals == self._renewals:
            self._life = life
        else:  # the script may have changed while it was being loaded
            life.retire()

    def renew(self) -> None:
        """Load the script afresh for later forks; those that live keep their own copy."""
        self._renewals += 1
        if self._life is not None:
            life, self._life = self._life, None
            life.retire()

    async def stop(self) -> None:
        """To be called when its workers have ended."""
        if self._life is not None:
            self._life.retire()
            await asyncio.wait({self._life.gone}, timeout=STOP_SECONDS)
            self._life.process.kill()


class _TemplateLife:
    """One template process, from its start to its end."""

    def __init__(self, process: Process, spec: PoolSpec) -> None:
        loop = asyncio.get_running_loop()
        self.process = process
        self._threads = spec.config.threads
        self.gone: asyncio.Future[int] = loop.create_future()
        self._loop = loop
        self._ready: asyncio.Future[None] = loop.create_future()
        self._failure: tuple[str, str, tuple[str, ...]] | None = None
        self._tag = 0
        self._forks: dict[int, asyncio.Future[int]] = {}  # by tag: asked for, not yet made
        self._living: dict[
            int, OnExit | None
        ] = {}  # by pid: who wants to know of its end, once that is known
        self._ends: dict[int, int] = {}  # of forks that ended before anybody wanted to know
        self._retired = False
        self._channel = FrontChannel(process.sock, loop, self._record, lambda: None, lambda: None)
        process.watch(loop, self._ended)
        config = spec.config.to_json()
        start = wire.TO_WORKER.pack(wire.START, 0, 0, 0, 0, len(config)) + config
        self._channel.send([start], len(start))

    async def loaded(self, limit: float) -> None:
        """Returns when the script is loaded. Raises StartError when it cannot be within `limit` seconds (0: none)."""
        either: set[asyncio.Future[Any]] = {self._ready, self.gone}
        late = ""
        try:
            await asyncio.wait(either, timeout=limit or None, return_when=asyncio.FIRST_COMPLETED)
            if not self._ready.done() and not self.gone.done():
                late = f"killed: import and init() took longer than {limit:g} s"
                self.process.kill()
                await self.gone
        except asyncio.CancelledError:
            self.process.kill()
            raise
        if self.gone.done():
            default = late or f"the process that loads the script exited with code {self.gone.result()}"
            raise StartError(*(self._failure or (default,)))

    async def fork(self) -> Process:
        """Raises StartError when the template ends meanwhile, OSError when it is out of reach."""
        self._tag += 1
        forked: asyncio.Future[int] = self._loop.create_future()
        self._forks[self._tag] = forked
        front, theirs = socket.socketpair()
        page, descriptor = make_page()
        record = wire.TO_WORKER.pack(wire.FORK, 0, self._tag, 0, 0, 0)
        try:
            self._channel.send_with_descriptors(record, [theirs.fileno(), descriptor])
            pid = await forked
        except BaseException:
            front.close()  # a fork that is made nevertheless finds nobody there, and ends
            raise
        finally:
            theirs.close()
            os.close(descriptor)
        # as in start_process: several run() at a time cannot share one mark, on either side
        marks = page if self._threads == 1 else None
        return Process(pid, front, marks, tell=self._tell_end)

    def _tell_end(self, pid: int, on_exit: OnExit) -> None:
        if pid in self._ends:
            self._loop.call_soon(on_exit, self._ends.pop(pid))
        else:
            self._living[pid] = on_exit

    def retire(self) -> None:
        """Told to stop once none of its workers lives: their ends are only known to it."""
        self._retired = True
        self._stop_if_done()

    def _stop_if_done(self) -> None:
        if self._retired and not self._living and not self._forks:
            stop = wire.TO_WORKER.pack(wire.STOP, 0, 0, 0, 0, 0)
            self._channel.send([stop], len(stop))

    def _record(
        self,
        kind: int,
        flags: int,
        content_type: int,
        tag: int,
        status: int,
        exec_ms: float,
        decode_us: float,
        encode_us: float,
        headers: bytes,
        body: bytes,
    ) -> None:
        facts: dict[str, Any] = json.loads(body)
        if kind == wire.READY:
            self._ready.set_result(None)
        elif kind == wire.FAILED:
            self._failure = (str(facts["summary"]), str(facts["detail"]), tuple(facts.get("files", ())))
        elif kind == wire.FORKED:
            pid = int(facts["pid"])
            self._living[pid] = None
            forked = self._forks.pop(tag)
            if not forked.done():
                forked.set_result(pid)
        elif kind == wire.EXITED:
            self._worker_ended(int(facts["pid"]), os.waitstatus_to_exitcode(int(facts["status"])))

    def _worker_ended(self, pid: int, status: int) -> None:
        on_exit = self._living.pop(pid, None)
        if on_exit is None:
            self._ends[pid] = status
        else:
            on_exit(status)
        self._stop_if_done()

    def _ended(self, status: int) -> None:
        self._channel.drain()
        error = StartError(f"the process that forks the workers ended with {status}")
        for forked in self._forks.values():
            if not forked.done():
                forked.set_exception(error)
        # its workers end with it, and nobody is left who could say how
        living, self._living = self._living, {}
        for pid, on_exit in living.items():
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            if on_exit is None:
                self._ends[pid] = -signal.SIGKILL
            else:
                on_exit(-signal.SIGKILL)
        self.gone.set_result(status)
