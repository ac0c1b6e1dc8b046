"""A pool of real workers on a script given as text, and requests for it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from inference_server.batching.queue import Queue
from inference_server.http.head import scan
from inference_server.http.limits import Limits
from inference_server.messages import DONE, SENT, WAITING, Answer, ScoringRequest
from inference_server.scoring.config import ScoringConfig
from inference_server.workers.batch_pool import BatchPool
from inference_server.workers.batch_worker import Batch
from inference_server.workers.pool import Observer, Pool
from inference_server.workers.spec import PoolSpec

HEAD = scan(b"POST /score HTTP/1.1\r\nHost: here\r\n\r\n", Limits())


class Running:
    """A pool that has started, or is to be started by the test."""

    def __init__(self, folder: Path, spec: PoolSpec) -> None:
        self.folder = folder
        self.restarts: list[str] = []
        self.downs: list[str] = []
        self.queue = Queue(0, 0)
        self.logs: list[tuple[dict[str, Any], ScoringRequest | None]] = []
        self.batches: list[Batch] = []
        self.again: list[int] = []
        observer = Observer(
            restarted=self.restarts.append,
            down=self.downs.append,
            log=lambda entry, request: self.logs.append((entry, request)),
            ran=self.batches.append,
            again=self.again.append,
        )
        self.pool = (BatchPool if spec.batches else Pool)(spec, self.queue, observer)

    def submit(self, value: Any, body: bytes | None = None) -> asyncio.Future[Answer]:
        """A request with `value` as its JSON body. A second answer to it fails the test that awaits the first."""
        return self.request(json.dumps(value).encode() if body is None else body)[1]

    def request(self, body: bytes) -> tuple[ScoringRequest, asyncio.Future[Answer]]:
        """A request that was submitted, and the future of its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = ScoringRequest(HEAD, [body], len(body), time.monotonic(), future.set_result)
        if isinstance(self.pool, BatchPool):
            self.pool.arrived(request, time.monotonic())
        assert self.queue.admit(request)
        self.pool.schedule()
        return request, future

    def leave(self, request: ScoringRequest) -> None:
        """Its caller goes."""
        state, request.state = request.state, DONE
        if state == SENT:
            self.pool.left(request)
        elif state == WAITING:
            self.queue.left(request)

    async def ask(self, value: Any, seconds: float = 20.0) -> Any:
        """The value that run() gave for `value`, or the status of the error."""
        answer = await asyncio.wait_for(self.submit(value), seconds)
        return json.loads(answer.body) if answer.status == 200 else answer.status

    async def reload(self) -> None:
        """Returns when the workers were replaced, or could not be."""
        assert self.pool.reload.ask("a test asks")
        await self.pool.reload.run()

    async def teach(self, count: int = 60) -> None:
        """Have the pool learn that run() is quick: from then on frames are large."""
        for number in range(count):
            await self.ask(number)

    def pids(self) -> list[int]:
        return [report.pid for report in self.pool.reports() if report.pid]


@asynccontextmanager
async def pool_of(
    folder: Path, script: str, start: bool = True, environment: dict[str, str] | None = None, **more: Any
) -> AsyncIterator[Running]:
    """`more` are fields of PoolSpec; those of ScoringConfig go by their own names."""
    (folder / "score.py").write_text(textwrap.dedent(script))
    settings = {name: more.pop(name) for name in list(more) if name in ScoringConfig._fields}
    config = ScoringConfig(entry_script=str(folder / "score.py"), app_root=str(folder), **settings)
    more.setdefault("python", sys.executable)
    more.setdefault("scoring_timeout", config.scoring_timeout_ms / 1000)
    running = Running(folder, PoolSpec(config, environment={**os.environ, **(environment or {})}, **more))
    try:
        if start:
            await running.pool.start()
        yield running
    finally:
        await running.pool.stop(5.0)


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `condition` returns once it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.005)
    return value


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
