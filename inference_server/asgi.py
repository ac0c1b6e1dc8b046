"""The server as a plain ASGI application, to mount in your own or to run under another ASGI server.

    from inference_server.asgi import InferenceApp
    routes = [Mount("/model", InferenceApp())]

    AZUREML_ENTRY_SCRIPT=score.py uvicorn inference_server.asgi:app

Settings come from the environment and the configuration file, as for the command. Workers start with the
first request, or with the lifespan's start-up where the server has one (a mounted application gets none).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.responses import JSONResponse

from inference_server.errors import SettingsError, StartError
from inference_server.http.asgi_score import score
from inference_server.http.head import from_scope
from inference_server.server import INSIGHTS_SECONDS, Engine
from inference_server.settings import Settings, load

__all__ = ["InferenceApp", "app"]

_MISCONFIGURED = "The server's settings are wrong; its log says which."

logger = logging.getLogger("azmlinfsrv")


class InferenceApp:
    """One server's routes. `settings`: those to use instead of the environment's."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._starting: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                engine = self._started()
            except SettingsError as error:
                logger.error("%s", error)
                await JSONResponse({"message": _MISCONFIGURED}, 503)(scope, receive, send)
                return
            head = from_scope(scope)
            if head.is_score:
                await score(engine.site, head, scope, receive, send)
            else:
                await engine.site.app(scope, receive, send)
        else:
            raise ValueError(f"azmlinfsrv answers HTTP requests only, not {scope['type']}")

    def _started(self) -> Engine:
        """The engine; its workers start when it is first asked for, and requests wait for them.

        Raises SettingsError.
        """
        if self._engine is None:
            self._engine = Engine(self._settings or load(), access_log=False)
            self._starting = asyncio.ensure_future(self._start(self._engine))
        return self._engine

    async def _start(self, engine: Engine) -> None:
        try:
            await engine.endpoint.start()
        except StartError as error:
            logger.error(error.summary)  # the worker has logged the traceback
            engine.endpoint.fail(error.summary)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            self._started()
        except SettingsError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def aclose(self) -> None:
        """Finish what was accepted and end the workers. Call it when the application that mounts this one ends."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.endpoint.stop(engine.settings.supervisor.graceful_timeout)
            await engine.close(INSIGHTS_SECONDS)
        if self._starting is not None:
            self._starting.cancel()


app = InferenceApp()
