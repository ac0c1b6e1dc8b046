"""An endpoint: one address, and the deployments behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inference_server.endpoint.answers import no_traffic, unknown_deployment
from inference_server.endpoint.deployment import Deployment
from inference_server.endpoint.errors import BadArgument, ResourceNotFound
from inference_server.endpoint.health import endpoint_health
from inference_server.endpoint.mirror import OPTION as MIRROR_OPTION
from inference_server.endpoint.mirror import Copies, Mirror
from inference_server.endpoint.shares import WHOLE
from inference_server.endpoint.traffic import OPTION as TRAFFIC_OPTION
from inference_server.endpoint.traffic import Traffic, Turns
from inference_server.errors import StartError
from inference_server.messages import Answer, HealthReport, ScoringRequest
from inference_server.workers.requests import ScriptFacts

Submit = Callable[[ScoringRequest], None]
Refusal = Callable[[int, float], "Answer | None"]


class Endpoint:
    """Routes requests to deployments, and says how all of it is.

    `submit(request)` resolves a request in due time, whatever happens; `submit_to` one that names its deployment;
    `refusal(body_bytes, deadline)` is what a request would be answered at once, before its body is read;
    `leave(request)`: its caller has gone. The names of deployments know no case.

    While the deployment that came first is the only one, its own methods stand in their place, so it costs nothing to
    be an endpoint. Requests that came that way are not marked with who took them: that is `_first`, then.
    """

    submit: Submit
    refusal: Refusal

    def __init__(
        self,
        deployment: Deployment | None = None,
        copied: Callable[[ScoringRequest, Answer], None] = lambda request, answer: None,
    ) -> None:
        """`deployment` is that of a server with a single script; further ones are added. `copied` is told of the
        answers to mirrored requests."""
        self.traffic: Traffic | None = None  # None: was never set
        self.mirror: Mirror | None = None
        self.copies: Copies | None = None
        self._deployments: dict[str, Deployment] = {}
        self._first: Deployment | None = None
        self._turns = Turns({})
        self._copied = copied
        self._changing: set[str] = set()
        self._leaving: set[Deployment] = set()
        self._stopping = False
        self._alone = deployment is not None  # a server that is no more than its script
        if deployment is not None:
            self._deployments[deployment.name.lower()] = deployment
        self._route()

    # ------------------------------------------------------------ routing

    def _route(self) -> None:
        """The table has changed: what `submit` and `refusal` are from now on."""
        self._turns = Turns(self.shares, self._turns)
        only = next(iter(self._deployments.values())) if len(self._turns.sequence) == 1 else None
        if len(self._deployments) == 1 and only is not None and self._first in (None, only):
            self._first = only
            self.submit, self.refusal = only.submit, only.refusal
        else:
            self.submit = self._submit_nowhere if not self._turns.sequence else self._submit_by_traffic
            self.refusal = self._refusal_of_all
        if self.copies is not None and self._turns.sequence:
            self._submit_original, self.submit = self.submit, self._submit_mirrored

    def _submit_by_traffic(self, request: ScoringRequest) -> None:
        deployment = self._deployments[self._turns.next()]
        request.taken_by = deployment
        deployment.submit(request)

    def _submit_mirrored(self, request: ScoringRequest) -> None:
        deadline = request.deadline  # before the deployment sets its own
        self._submit_original(request)
        if self.copies is not None:
            self.copies.pass_by(request, deadline)

    def _submit_nowhere(self, request: ScoringRequest) -> None:
        request.resolve(no_traffic())

    def submit_to(self, name: str, request: ScoringRequest, authorized: bool = True) -> None:
        """A request that names its deployment goes there, whatever traffic that gets, and is not mirrored.

        404 when there is none of that name; which ones there are is told to those who are `authorized`.
        """
        deployment = self._deployments.get(name.lower())
        if deployment is None:
            request.resolve(unknown_deployment(name, self.names if authorized else None))
            return
        request.taken_by = deployment
        deployment.submit(request)

    def _refusal_of_all(self, body_bytes: int, deadline: float) -> Answer | None:
        """Whose turn it will be when the body has come is not known: refused is what none of them would take."""
        answer: Answer | None = no_traffic()
        for name in self._turns.shares:
            answer = self._deployments[name].refusal(body_bytes, deadline)
            if answer is None:
                break
        return answer

    def refusal_to(
        self, name: str, body_bytes: int, deadline: float, authorized: bool = True
    ) -> Answer | None:
        """As `refusal`, for a request that names its deployment."""
        deployment = self._deployments.get(name.lower())
        if deployment is None:
            return unknown_deployment(name, self.names if authorized else None)
        return deployment.refusal(body_bytes, deadline)

    def leave(self, request: ScoringRequest) -> None:
        """The caller of a request has gone."""
        taker = getattr(request, "taken_by", self._first)
        if taker is not None:
            taker.leave(request)

    # ------------------------------------------------------------ the table

    @property
    def names(self) -> list[str]:
        return [deployment.name for deployment in self._deployments.values()]

    @property
    def shares(self) -> dict[str, int]:
        """Per cent of the unnamed requests, by name in lower case, as they are routed now; none has 0."""
        if self.traffic is not None:
            return dict(self.traffic.shares)
        return dict.fromkeys(self._deployments, WHOLE) if len(self._deployments) == 1 else {}

    def get(self, name: str) -> Deployment:
        """Raises ResourceNotFound."""
        deployment = self._deployments.get(name.lower())
        if deployment is None:
            raise ResourceNotFound(
                f"there is no deployment {name!r} of this endpoint; it has: {', '.join(self.names) or 'none'}"
            )
        return deployment

    def set_traffic(self, traffic: Traffic) -> None:
        """From the next request on. Raises ResourceNotFound, BadArgument."""
        for name in traffic.shares:
            self.get(name)
        if self.mirror is not None and self.mirror.deployment in traffic.shares:
            raise BadArgument(
                f"{TRAFFIC_OPTION}: {self.mirror.deployment} gets mirrored requests, and a deployment gets those or "
                f'live ones: end the mirroring first, with {MIRROR_OPTION} "{self.mirror.deployment}=0"'
            )
        self.traffic = traffic
        self._route()

    def set_mirror(self, mirror: Mirror | None) -> None:
        """From the next request on; copies on their way go on. Raises ResourceNotFound, BadArgument."""
        if mirror is not None:
            name = self.get(mirror.deployment).name.lower()
            if name in self.shares:
                raise BadArgument(
                    f"{MIRROR_OPTION}: {name} gets live requests, and a deployment gets those or mirrored ones: "
                    f"take its traffic away first, with {TRAFFIC_OPTION}"
                )
            if self.copies is None or self.mirror is None or self.mirror.deployment != name:
                self.copies = Copies(
                    mirror.percent, lambda copy: self._deployments[name].submit(copy), self._copied
                )
            self.copies.percent = mirror.percent
        else:
            self.copies = None
        self.mirror = mirror
        self._route()

    # ------------------------------------------------------------ deployments that come and go

    async def add(self, deployment: Deployment) -> None:
        """Start a deployment and take it in; it gets unnamed requests when it is the only one and traffic was never set.

        Raises BadArgument when one of that name is there, StartError when it cannot be started: then nothing has changed.
        """
        key = deployment.name.lower()
        with self._change(key):
            if key in self._deployments:
                raise BadArgument(f"there is a deployment {key} already: update it, or choose another name")
            await self._start(deployment)
            self._alone = False
            self._deployments[key] = deployment
            self._route()

    async def replace(self, deployment: Deployment, grace: float) -> None:
        """Start a deployment, have it take the place of that of the same name, and end that one as `remove` does.

        Raises ResourceNotFound, StartError; then the old one serves as before.
        """
        key = deployment.name.lower()
        with self._change(key):
            before = self.get(key)
            await self._start(deployment)
            self._alone = False
            self._deployments[key] = deployment
            self._route()
            await self._retire(before, grace)

    async def remove(self, name: str, grace: float) -> None:
        """Take a deployment away; what it has accepted it may finish within `grace` seconds.

        Raises ResourceNotFound, and BadArgument while it gets live or mirrored traffic.
        """
        key = name.lower()
        with self._change(key):
            deployment = self.get(key)
            if self.traffic is not None and (share := self.traffic.shares.get(key)):
                raise BadArgument(
                    f"{key} gets {share} per cent of the traffic: give it to other deployments first, "
                    f"with {TRAFFIC_OPTION}"
                )
            if self.mirror is not None and self.mirror.deployment == key:
                raise BadArgument(
                    f'{key} gets mirrored requests: end that first, with {MIRROR_OPTION} "{key}=0"'
                )
            self._alone = False
            del self._deployments[key]
            self._route()
            await self._retire(deployment, grace)

    @contextmanager
    def _change(self, key: str) -> Iterator[None]:
        if key in self._changing:
            raise BadArgument(f"another operation is running on {key}: wait for its end")
        self._changing.add(key)
        try:
            yield
        finally:
            self._changing.discard(key)

    async def _start(self, deployment: Deployment) -> None:
        """Nothing of the deployment is left when it cannot be started, nor when this is cancelled."""
        try:
            await deployment.start()
        except asyncio.CancelledError:
            await deployment.stop(0.0)
            raise
        if self._stopping:
            await deployment.stop(0.0)
            raise StartError("the server is shutting down")

    async def _retire(self, deployment: Deployment, grace: float) -> None:
        self._leaving.add(deployment)
        try:
            await deployment.stop(grace)
        except asyncio.CancelledError:
            await deployment.stop(0.0)
            raise
        finally:
            self._leaving.discard(deployment)
            if deployment is self._first:  # it has no request any more
                self._first = None
                self._route()

    # ------------------------------------------------------------ life of all

    @property
    def deployment(self) -> Deployment:
        """The only one, or that with the most traffic. Raises ResourceNotFound where there is none."""
        shares = self.shares
        if not self._deployments:
            raise ResourceNotFound("this endpoint has no deployments")
        return self._deployments[max(self._deployments, key=lambda name: shares.get(name, 0))]

    @property
    def facts(self) -> ScriptFacts | None:
        return self.deployment.facts if self._deployments else None

    async def start(self, must: bool = True) -> None:
        """Raises StartError when a script cannot be started and `must` be."""
        await asyncio.gather(*(deployment.start(must) for deployment in self._deployments.values()))

    async def stop(self, grace: float) -> None:
        """Finish what was accepted within `grace` seconds, end all workers."""
        self._stopping = True
        await asyncio.gather(
            *(deployment.stop(grace) for deployment in (*self._deployments.values(), *self._leaving))
        )

    def fail(self, why: str) -> None:
        """The scripts could not be started and will not be: every request gets 503."""
        for deployment in self._deployments.values():
            deployment.fail(why)

    def health(self) -> HealthReport:
        """A reading of the workers' states as they are now."""
        if self._alone:
            return self.deployment.health()
        return endpoint_health(self._deployments, self.shares, self.mirror)
