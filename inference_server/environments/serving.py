"""The environment of a deployment's workers: found or built when the first of them starts, again when they are replaced."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import replace

from inference_server.environments.build import Asked, Say, ensure, plan
from inference_server.environments.cache import Cache, Made, Use
from inference_server.environments.errors import EnvironmentFailed, Stopped

logger = logging.getLogger("azmlinfsrv")


class ModelEnvironment:
    """What a pool asks for its workers' interpreter. Nothing here holds the event loop: the work is done in a thread.

    `doing` is one line about it for people, "" when it is done.
    """

    def __init__(self, source: str, root: str, environ: Mapping[str, str], given: str = "") -> None:
        self.doing = ""
        self.files: tuple[str, ...] = (os.path.abspath(source),)  # that say what it holds
        self._asked = Asked(source, Cache(root), environ, given)
        self._made: Made | None = None
        self._uses: dict[
            str, Use
        ] = {}  # by key; kept to the end of the process, since old workers may still run
        self._work: asyncio.Future[Made] | None = None
        self._stop = threading.Event()
        self._waiting = 0

    async def ready(self) -> str:
        """The path of its Python; the environment is built first if it is nowhere. Raises EnvironmentFailed."""
        made = self._made
        if made is None or not os.path.exists(made.interpreter):
            made = await self._wanted()
        return made.interpreter

    async def renew(self) -> str:
        """As `ready`, for the definition as it is now. Where that fails, `ready` goes on as before."""
        return (await self._wanted()).interpreter

    async def _wanted(self) -> Made:
        """One search or build at a time, for all who wait; it is ended when none of them does any more."""
        if self._work is None or self._work.done():
            self._stop = threading.Event()
            self._work = asyncio.ensure_future(self._find_or_build(self._stop))
        work, stop = self._work, self._stop
        self._waiting += 1
        try:
            return await asyncio.shield(work)
        finally:
            self._waiting -= 1
            if not self._waiting and not work.done():
                stop.set()
                await asyncio.wait({work})  # nothing half made is left when the pool ends

    async def _find_or_build(self, stop: threading.Event) -> Made:
        loop = asyncio.get_running_loop()

        def say(line: str) -> None:
            loop.call_soon_threadsafe(self._note, line)

        try:
            made, use = await asyncio.to_thread(self._made_now, stop, say)
        except EnvironmentFailed as error:
            if not isinstance(error, Stopped):
                for line in error.detail.splitlines():
                    logger.error("  %s", line)
            raise
        finally:
            self.doing = ""
        if made.key in self._uses:
            use.close()
        else:
            self._uses[made.key] = use
        if self._made is None or self._made.key != made.key:
            logger.info("Environment of %s: %s", os.path.basename(self._asked.source), made.prefix)
        self._made = made
        return made

    def _made_now(self, stop: threading.Event, say: Say) -> tuple[Made, Use]:
        """In a thread. Raises EnvironmentFailed."""
        asked = replace(self._asked, say=say, stopped=stop.is_set)
        wanted = plan(asked)
        self.files = wanted.definition.files
        made = ensure(asked)
        return made, asked.cache.use(made)

    def _note(self, line: str) -> None:
        name = os.path.basename(self._asked.source)
        self.doing = f"building the environment of {name}: {line}"
        logger.info("Environment of %s: %s", name, line)
