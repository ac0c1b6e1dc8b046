"""An endpoint: one address, and the deployments behind it."""

from __future__ import annotations

from inference_server.endpoint.deployment import Deployment
from inference_server.lifecycle import ServerState
from inference_server.messages import HealthReport
from inference_server.workers.requests import ScriptFacts


class Endpoint:
    """Routes requests to deployments and says how all of it is. Today there is one deployment: it gets all."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.submit = deployment.submit  # to resolve a request in due time, whatever happens
        self.refusal = deployment.refusal  # what a request would be answered at once, before its body is read
        self.leave = deployment.leave  # the caller of a request has gone

    @property
    def facts(self) -> ScriptFacts | None:
        return self.deployment.facts

    async def start(self, must: bool = True) -> None:
        """Raises StartError when the script cannot be started and `must` be."""
        await self.deployment.start(must)

    async def stop(self, grace: float) -> None:
        await self.deployment.stop(grace)

    def fail(self, why: str) -> None:
        """The script could not be started and will not be: every request gets 503."""
        self.deployment.fail(why)

    def health(self) -> HealthReport:
        """A reading of the workers' states as they are now."""
        pool = self.deployment.pool
        state, reason = self._state()
        started = pool.facts is not None
        return HealthReport(
            state,
            reason,
            started,
            len(self.deployment.queue),
            tuple(pool.reports()),
            self.deployment.batching(),
            pool.reload.report(),
        )

    def _state(self) -> tuple[ServerState, str]:
        pool = self.deployment.pool
        if self.deployment.draining:
            return ServerState.DRAINING, "finishes what was accepted, then stops"
        if pool.serving:
            return ServerState.READY, f"{pool.serving} of {pool.size} worker(s) serve"
        if pool.facts is None and not pool.down:
            making = pool.spec.model_environment
            return ServerState.STARTING, (making and making.doing) or "the first worker is not ready yet"
        return ServerState.UNAVAILABLE, pool.down or "no worker serves now; one is being started"
