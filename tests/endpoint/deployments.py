"""Deployments with real workers, whose script says which of them it is, and requests for an endpoint of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from inference_server.endpoint.deployment import Deployment
from inference_server.endpoint.endpoint import Endpoint
from inference_server.endpoint.limits import RequestLimits
from inference_server.http.head import scan
from inference_server.http.limits import Limits
from inference_server.messages import Answer, ScoringRequest
from inference_server.scoring.config import ScoringConfig
from inference_server.workers.spec import PoolSpec

HEAD = scan(b"POST /score HTTP/1.1\r\nHost: here\r\n\r\n", Limits())
SCRIPT = """
import json, os, time

NAME = {name!r}

def init():
    if os.path.exists("broken"):
        raise ValueError("it is broken")

def run(data):
    value = json.loads(data)
    if value == "stream":
        def chunks():
            yield b"x" * 300_000
            yield b"y" * 300_000
            open(NAME + ".streamed", "w").close()
        return chunks()
    while value == "wait" and not os.path.exists(NAME + ".go"):
        time.sleep(0.005)
    return NAME
"""


def deployment(folder: Path, name: str, version: str = "", **more: Any) -> Deployment:
    """One that is not started. Its script answers `name` and `version`."""
    script = folder / f"{name}{version}.py"
    script.write_text(SCRIPT.format(name=name + version))
    limits: RequestLimits | None = more.pop("request_limits", None)
    config = ScoringConfig(entry_script=str(script), app_root=str(folder))
    spec = PoolSpec(config, sys.executable, environment=dict(os.environ), **more)
    return Deployment(name, spec, 0, 0, request_limits=limits)


class Calling:
    """An endpoint and its callers."""

    def __init__(self) -> None:
        self.copied: list[tuple[ScoringRequest, Answer]] = []
        self.endpoint = Endpoint(copied=lambda request, answer: self.copied.append((request, answer)))

    def send(
        self, value: Any = 1, to: str = "", authorized: bool = True, timeout: float = 0.0
    ) -> tuple[ScoringRequest, asyncio.Future[Answer]]:
        """A request on its way, and its answer; `to` names a deployment."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        body, now = json.dumps(value).encode(), time.monotonic()
        request = ScoringRequest(HEAD, [body], len(body), now, future.set_result)
        request.deadline = now + timeout if timeout else 0.0
        if to:
            self.endpoint.submit_to(to, request, authorized)
        else:
            self.endpoint.submit(request)
        return request, future

    async def ask(self, value: Any = 1, **more: Any) -> Any:
        """Which deployment answered, or the status of the error."""
        answer = await asyncio.wait_for(self.send(value, **more)[1], 20)
        return json.loads(answer.body) if answer.status == 200 else answer.status


@asynccontextmanager
async def calling() -> AsyncIterator[Calling]:
    """An endpoint without deployments, and its end."""
    calls = Calling()
    try:
        yield calls
    finally:
        await calls.endpoint.stop(5.0)
