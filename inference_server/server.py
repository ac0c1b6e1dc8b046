"""Assembly: from settings to a running front. The only place that wires the rooms together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import Any

import uvicorn

from inference_server import __version__
from inference_server.batching import admission
from inference_server.endpoint.deployment import Deployment
from inference_server.endpoint.endpoint import Endpoint
from inference_server.errors import SecretsError, StartError
from inference_server.http import health
from inference_server.http.answers import AnswerHeads
from inference_server.http.app import AppFacts, build_app, build_health_app
from inference_server.http.cors import Cors
from inference_server.http.limits import Limits
from inference_server.http.protocol import protocol_for
from inference_server.http.recorded import RecordedAccess
from inference_server.http.site import Site, Timeouts
from inference_server.messages import HealthReport, ScoringRequest
from inference_server.recording.recorder import Recorder, open_recorder
from inference_server.scoring.allocator import keep_memory
from inference_server.secrets.environment import WorkerSecrets
from inference_server.settings import Settings
from inference_server.settings.environments import environments_folder
from inference_server.telemetry import logs
from inference_server.telemetry.access import Access, NoAccess, open_access
from inference_server.telemetry.insights import Insights, InsightsConfig, open_insights
from inference_server.telemetry.ledger import Ledger
from inference_server.telemetry.metrics import Metrics
from inference_server.telemetry.output import standard
from inference_server.workers import changes
from inference_server.workers.pool import Observer
from inference_server.workers.spec import ModelEnvironment, PoolSpec

NOTIFY_SECONDS = 1
CLOSE_SECONDS = 1.0  # for connections to be closed when there is no time left to finish them
LOG_SECONDS = 1.0  # for whoever reads the log to take what is left of it
# Between two young collections. A scoring request leaves nothing to collect; one of the application does, and
# twenty thousand such objects held a probe for 5 ms.
GC_ALLOCATIONS = 2000
INSIGHTS_SECONDS = 5.0  # to send what is left when the server ends
INSIGHTS_FAILED_SECONDS = 30.0  # the same when the script did not start: the reason must not be lost
RECORD_SECONDS = 5.0  # to write the requests that are still to be recorded
DEPLOYMENT = "default"
REFUSAL_WORDS = {
    admission.TOO_LATE: "deadline",
    admission.TOO_LONG: "wait",
    admission.TOO_MANY: "concurrency",
}
DEFAULT_CIPHERS = "TLSv1"  # OpenSSL's word for its usual TLS 1.x ciphers

logger = logging.getLogger("azmlinfsrv")


def pool_spec(settings: Settings) -> PoolSpec:
    """The workers that `settings` ask for."""
    workers, develop = settings.workers, settings.develop
    environment = settings.worker_environment()
    return PoolSpec(
        config=settings.scoring_config(),
        python=workers.python,
        model_environment=model_environment(settings),
        environment=environment,
        secrets=WorkerSecrets.of(environment, settings.secrets),
        worker_count=workers.worker_count,
        channel=workers.channel,
        preload=workers.preload,
        scoring_timeout=settings.script.scoring_timeout_ms / 1000,
        worker_timeout=workers.worker_timeout,
        stall_grace=workers.stall_grace_ms / 1000,
        boot_timeout=workers.boot_timeout,
        max_requests=workers.max_requests,
        max_requests_jitter=workers.max_requests_jitter,
        max_worker_rss=workers.max_worker_rss,
        max_queue_delay=settings.batch.max_queue_delay_ms / 1000,
        devices=settings.devices,
        attach=(develop.debug_host, develop.debug_listen) if develop.debugs else None,
        drain_first=develop.reload_mode == "drain",
    )


def model_environment(settings: Settings) -> ModelEnvironment | None:
    """What makes the interpreter of the workers; None: it is there."""
    source = settings.environments.definition
    if not source:
        return None
    from inference_server.environments.serving import ModelEnvironment as Kept  # few servers need it

    given = settings.workers.python if "workers.python" in settings.given else ""
    folder = environments_folder(settings.environments, settings.environment)
    return Kept(source, folder, settings.environment, given)


def limits(settings: Settings) -> Limits:
    """What a client may send."""
    http = settings.http
    return Limits(
        request_line=http.limit_request_line or http.max_header_bytes,
        fields=http.limit_request_fields,
        field_size=http.limit_request_field_size or http.max_header_bytes,
        head_bytes=http.max_header_bytes,
        body_bytes=http.max_body_bytes,
        chunks=http.max_chunks,
        chunk_extension_bytes=http.max_chunk_extension_bytes,
        trailer_bytes=http.max_trailer_bytes,
    )


def admission_limits(settings: Settings) -> admission.Limits:
    """How many requests may be in flight, and for how long one may wait."""
    batch = settings.batch
    return admission.Limits(batch.max_concurrent_requests_per_instance, batch.max_queue_wait_ms / 1000)


class Engine:
    """One server's endpoint with all that surrounds it, whatever carries its requests."""

    def __init__(self, settings: Settings, access_log: bool = True) -> None:
        self.settings = settings
        self._access_log = access_log and settings.telemetry.access_log
        self.metrics = Metrics(
            __version__, lambda: {"stdout": standard(1).dropped, "stderr": standard(2).dropped}
        )
        self.counted = self.metrics.deployment(DEPLOYMENT, self._in_flight, self._health)
        queue, spec = settings.queue, pool_spec(settings)
        deployment = Deployment(
            DEPLOYMENT,
            spec,
            queue.max_queue_size,
            queue.max_queue_bytes,
            self._observer(),
            admission_limits(settings),
        )
        self.counted.wait_error = deployment.gate.admission.accuracy.error
        self.endpoint = Endpoint(deployment)
        self.recorder: Recorder | None = None
        self._recorded: RecordedAccess | None = None
        self.site = self._site()

    def _observer(self) -> Observer:
        counted = self.counted
        return Observer(
            restarted=counted.restarted,
            timed_out=counted.timed_out,
            log=self._log,
            ran=lambda batch: counted.batches.ran(batch.requests, batch.rows, batch.seconds, batch.reason),
            refused=lambda reason: counted.refused(REFUSAL_WORDS[reason]),
            again=counted.batches.again,
        )

    def _in_flight(self) -> int:
        deployment = self.endpoint.deployment
        return len(deployment.queue) + deployment.pool.in_hand()

    def _health(self) -> HealthReport:
        return self.endpoint.health()

    def _site(self) -> Site:
        settings = self.settings
        http = settings.http
        heads = AnswerHeads(settings.server_version)
        cors = Cors(http.cors_origins)
        facts = AppFacts(
            health=self._health,
            swaggers=self._swaggers,
            metrics=self.metrics.render if settings.telemetry.metrics else None,
            scored=self.counted if settings.telemetry.metrics else None,
            heads=heads,
            cors=cors,
        )
        access: Access = NoAccess()
        if self._access_log:
            access = open_access(settings.logging_config, settings.telemetry.level, standard(1), os.getpid())
        if settings.recording.record:
            access = self._recorded = self._open_recording(access)
        return Site(
            endpoint=self.endpoint,
            app=build_app(facts),
            health_app=build_health_app(facts),
            probes=health.probes(self._health),
            heads=heads,
            cors=cors,
            ledger=Ledger(access, self.counted),
            metrics=self.metrics,
            warn=logger.warning,
            limits=limits(settings),
            timeouts=Timeouts(
                http.header_timeout or inf,
                http.body_timeout or inf,
                http.keep_alive,
                http.write_timeout or inf,
            ),
            health_port=settings.listen.health_port if settings.listen.separate_health else 0,
            max_connections=http.max_connections,
            request_timeout=settings.queue.request_timeout_ms / 1000,
            insights=self._open_insights(),
            server_timing=settings.batch.server_timing,
        )

    def _swaggers(self) -> dict[str, Any] | None:
        facts = self.endpoint.facts
        return None if facts is None else facts.swaggers

    def _log(self, entry: dict[str, Any], request: ScoringRequest | None) -> None:
        """What a worker reports for the exporters, and the request it was working on; or why that failed."""
        if "failure" in entry:
            if self._recorded is not None and request is not None:
                self._recorded.failed(request, entry["failure"])
            return
        if self.site.insights is None:
            return
        if request is None:
            self.site.insights.record(entry)
        else:
            self.site.insights.record(entry, request.ids.request_id, request.ids.client_request_id)

    def _open_recording(self, access: Access) -> RecordedAccess:
        recording, script = self.settings.recording, self.settings.script
        self.recorder = open_recorder(recording, script.path or "", script.model_dir)
        self.metrics.recorded = self.recorder.counts
        return RecordedAccess(access, self.recorder, recording.record_sample / 100)

    def _open_insights(self) -> Insights | None:
        telemetry, service = self.settings.telemetry, self.settings.service
        if not telemetry.app_insights_enabled:
            return None
        return open_insights(
            InsightsConfig(
                telemetry.app_insights_key,
                service.service_name,
                service.workspace_name,
                service.hostname,
                self.settings.script.model_dir,
                telemetry.app_insights_log_response,
            )
        )

    async def close(self, grace: float) -> None:
        """Write what is still to be written: the log, and telemetry for at most `grace` seconds."""
        self.site.ledger.flush()
        if self.recorder is not None:
            await asyncio.to_thread(self.recorder.close, RECORD_SECONDS)
        if self.site.insights is not None:
            await asyncio.to_thread(self.site.insights.shutdown, grace)


class _Server(uvicorn.Server):
    """uvicorn's server; signals are the supervisor's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _settle_memory() -> None:
    """All that stands now stands for good: the garbage collector need not walk it again every few hundred requests.

    And what a body took is kept for the next one.
    """
    keep_memory()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS)


def _say_unwatched(task: asyncio.Task[None]) -> None:
    """Files are not watched any more: unless that is the end of the server, say why."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("Changes are not noticed any more, use azmlinfsrv reload: %s", error)


class Front:
    """The HTTP process of one server; see supervisor/life.py for what a supervisor asks of it."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], notify: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._notify = notify
        self._server: _Server | None = None
        self._engine: Engine | None = None
        self._stop: asyncio.Event | None = None
        self._hurry: asyncio.Event | None = None  # what was accepted need not be finished
        self.first = True  # False: another front served before; a script that fails now may be repaired

    async def serve(self) -> int:
        """Serve until stopped: 0, or 3 when the script could not be started for the first time."""
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        engine = self._engine = Engine(self._settings)
        server = self._server = _Server(self._config(engine))
        _settle_memory()
        serving = asyncio.create_task(server.serve(sockets=self._sockets))
        starting = asyncio.create_task(engine.endpoint.start(must=self.first))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({serving, starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        code = 0
        if starting.done() and (error := starting.exception()) is not None:
            code = self._start_failed(error)
        else:
            watching = self._watch(engine)
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for watch in watching:
                watch.cancel()
        if serving.done() and (error := serving.exception()) is not None:
            logger.error("The server cannot listen: %s", error)  # a certificate that cannot be read, say
            code = StartError.exit_code
        if code:
            self._hurry.set()
        await self._end(engine, server, serving, self._hurry)
        await engine.close(INSIGHTS_FAILED_SECONDS if code else INSIGHTS_SECONDS)
        for stream in (1, 2):
            standard(stream).flush(LOG_SECONDS)
        for task in (starting, stopping):
            task.cancel()
        return code

    def _watch(self, engine: Engine) -> list[asyncio.Task[None]]:
        """Watch what the workers have loaded, when that is asked for."""
        if not self._settings.develop.reload:
            return []
        work = changes.watch(engine.endpoint.deployment.pool, self._settings.script.model_dir)
        task = asyncio.create_task(work)
        task.add_done_callback(_say_unwatched)
        return [task]

    def _config(self, engine: Engine) -> uvicorn.Config:
        listen = self._settings.listen

        async def notify() -> None:
            if self._notify is not None:
                self._notify()

        return uvicorn.Config(
            engine.site.app,
            http=protocol_for(engine.site),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            backlog=listen.backlog,
            timeout_graceful_shutdown=max(1, int(self._settings.supervisor.graceful_timeout)),
            callback_notify=notify,
            timeout_notify=NOTIFY_SECONDS,
            ssl_certfile=listen.certfile or None,
            ssl_keyfile=listen.keyfile or None,
            ssl_ca_certs=listen.ca_certs or None,
            ssl_cert_reqs=listen.cert_reqs,
            ssl_ciphers=listen.ciphers or DEFAULT_CIPHERS,
        )

    def _start_failed(self, error: BaseException) -> int:
        if not isinstance(error, StartError):
            logger.error("The workers could not be started", exc_info=error)
        else:
            problems = error.problems if isinstance(error, SecretsError) else (error.summary,)
            for problem in problems:  # of a script there is one, and the worker has logged the traceback
                logger.error(problem)
        return StartError.exit_code

    async def _end(
        self, engine: Engine, server: _Server, serving: asyncio.Task[None], hurry: asyncio.Event
    ) -> None:
        """Stop accepting, let connections finish, end the workers: within the grace, or as soon as `hurry` is set."""
        until = monotonic() + self._settings.supervisor.graceful_timeout
        hurried = asyncio.create_task(hurry.wait())
        server.should_exit = True
        await asyncio.wait(
            {serving, hurried}, timeout=until - monotonic(), return_when=asyncio.FIRST_COMPLETED
        )
        server.force_exit = True
        ending = asyncio.create_task(engine.endpoint.stop(max(0.0, until - monotonic())))
        await asyncio.wait({ending, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await engine.endpoint.stop(0.0)
        hurried.cancel()
        if not serving.done():
            await asyncio.wait({serving}, timeout=CLOSE_SECONDS)
            serving.cancel()

    def stop(self, now: bool = False) -> None:
        """Finish what was accepted and end; `now`: end at once."""
        if self._stop is None or self._hurry is None:
            return
        if now:
            self._hurry.set()
        self._stop.set()

    def reload(self) -> None:
        """Replace all workers, one after the other, by new ones that load the script afresh."""
        if self._engine is not None:
            logger.info("Replacing the workers one after the other")
            self._engine.endpoint.deployment.pool.roll("asked for by SIGHUP")

    def scale(self, by: int) -> None:
        """Add workers, or take some away; one stays."""
        if self._engine is not None:
            pool = self._engine.endpoint.deployment.pool
            pool.scale_to(pool.size + by)
            logger.info("The number of workers is now %d", pool.size)

    def reopen_logs(self) -> None:
        """Open log files anew, after they were moved."""
        logs.reopen()
