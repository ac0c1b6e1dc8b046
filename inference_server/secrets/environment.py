"""The values in a worker's environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from time import monotonic

from inference_server.scoring import redaction
from inference_server.secrets.resolving import Resolved, Source, referring, resolve
from inference_server.settings import SecretSettings

logger = logging.getLogger("azmlinfsrv")


class WorkerSecrets:
    """What the variables of a server's environment refer to, kept for the workers that are started.

    A worker that is replaced gets what was read last: a vault that is out of reach then costs nothing.
    """

    def __init__(
        self, environment: Mapping[str, str], make_sources: Callable[[], Mapping[str, Source]], timeout: float
    ) -> None:
        self._referring = referring(environment)
        self._make_sources = make_sources
        self._timeout = timeout
        self._resolved: Resolved | None = None
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, environment: Mapping[str, str], settings: SecretSettings) -> WorkerSecrets | None:
        """Those of `environment`; None: it refers to nothing."""
        if not referring(environment):
            return None
        return cls(environment, lambda: _sources(settings, environment), settings.secrets_timeout)

    def __repr__(self) -> str:
        return f"WorkerSecrets({', '.join(self._referring)})"

    async def ready(self) -> None:
        """Returns when the values are there. Raises SecretsError."""
        async with self._lock:
            if self._resolved is None:
                await self._read()

    async def renew(self) -> None:
        """Read everything anew. Raises SecretsError, and then what was read before stays."""
        async with self._lock:
            await self._read()

    def put_into(self, environment: Mapping[str, str]) -> dict[str, str]:
        """A worker's whole environment, once `ready` has returned."""
        return environment_with(self._resolved or Resolved(), environment)

    async def _read(self) -> None:
        began = monotonic()
        self._resolved = await _in_thread(
            lambda: resolve(self._referring, self._make_sources(), self._timeout)
        )
        redaction.hide(self._resolved.hidden)
        logger.info("Read the secrets of %s in %.2f s", ", ".join(self._referring), monotonic() - began)


def environment_with(resolved: Resolved, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with the values, and with what the worker is to keep out of its logs."""
    hidden = {redaction.VARIABLE: json.dumps(resolved.hidden)} if resolved.hidden else {}
    return {**environment, **resolved.values, **hidden}


def resolved_environment(environment: Mapping[str, str], settings: SecretSettings) -> dict[str, str]:
    """The same for one process that is started now. Raises SecretsError."""
    if not referring(environment):
        return dict(environment)
    resolved = resolve(environment, _sources(settings, environment), settings.secrets_timeout)
    redaction.hide(resolved.hidden)
    return environment_with(resolved, environment)


def _sources(settings: SecretSettings, environment: Mapping[str, str]) -> Mapping[str, Source]:
    from inference_server.secrets.sources import sources  # HTTP clients: most servers refer to nothing

    return sources(settings, environment)


async def _in_thread(work: Callable[[], Resolved]) -> Resolved:
    """Do `work` beside the loop, in a thread that the process does not wait for when it ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Resolved] = loop.create_future()

    def finish(result: Resolved | None, error: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if result is not None:
            done.set_result(result)
        else:
            done.set_exception(error or RuntimeError("no result"))

    def run() -> None:
        result: Resolved | None = None
        failed: BaseException | None = None
        try:
            result = work()
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(finish, result, failed)

    threading.Thread(target=run, name="secrets", daemon=True).start()
    return await done
