"""The ASGI application for every route but the scoring one: health, swagger, metrics, and the answer to the rest."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from inference_server.http import debug, health, refusals
from inference_server.http.answers import AnswerHeads, bodyless
from inference_server.http.cors import Cors
from inference_server.http.head import from_scope
from inference_server.http.identity import DEPRECATED
from inference_server.messages import Answer, HealthReport
from inference_server.telemetry.metrics import DeploymentMetrics

SWAGGER_NAMES = {
    "2": "2",
    "2.0": "2",
    "3": "3",
    "3.0": "3",
    "3.1": "3.1",
}  # accepted -> the version's own name
logger = logging.getLogger("azmlinfsrv")

METHODS = ("GET", "HEAD", "OPTIONS")
_HTML = b"text/html; charset=utf-8"


@dataclass(frozen=True)
class AppFacts:
    """All the application may ask; plain callables that answer at once."""

    health: Callable[[], HealthReport]
    # version name ("2", "3", "3.1") -> document, for the versions this script has; None: no worker was ready yet
    swaggers: Callable[[], Mapping[str, Any] | None]
    # Accept header -> the body of /metrics and its content type; None: no such route
    metrics: Callable[[str], tuple[bytes, str]] | None = None
    scored: DeploymentMetrics | None = None  # None: its last requests are shown to nobody
    heads: AnswerHeads = field(default_factory=AnswerHeads)
    cors: Cors = field(default_factory=lambda: Cors(None))


Handler = Callable[[Request], Awaitable[Response]]
Reply = Callable[[Request], Answer]


def build_app(facts: AppFacts, more: Sequence[BaseRoute] = ()) -> Starlette:
    """All routes of the main port that have no lane of their own. `more` come first."""

    def swagger(request: Request) -> Answer:
        return swagger_answer(facts.swaggers(), request.query_params.getlist("version"))

    routes = [
        *more,
        _contract_route("/", facts, lambda request: health.root(facts.health())),
        _contract_route("/swagger.json", facts, swagger),
        *_probes(facts),
    ]
    return _app(facts, routes)


def build_health_app(facts: AppFacts) -> Starlette:
    """The routes of a health port of its own: health and metrics, never the scoring route."""
    routes = [
        _contract_route("/", facts, lambda request: health.root(facts.health())),
        *_probes(facts),
    ]
    return _app(facts, routes)


def swagger_answer(documents: Mapping[str, Any] | None, asked: Sequence[str]) -> Answer:
    """`/swagger.json`; `asked`: the values of the `version` parameter, of which only the first counts."""
    if documents is None:
        return refusals.message(503, "The swagger documents are made when the first worker is ready.")
    name = asked[0] if asked else "2"
    version = SWAGGER_NAMES.get(name)
    supported = f"[{', '.join(documents)}]"
    if version is None:
        return refusals.message(
            404, f"Swagger version [{name}] is not valid. Supported versions: {supported}."
        )
    if version not in documents:
        return refusals.message(
            404,
            f"Swagger version [{version}] is not supported for the scoring script. "
            f"Supported swagger versions: {supported}.",
        )
    return Answer(200, json.dumps(documents[version]).encode("ascii"))


def _app(facts: AppFacts, routes: Sequence[BaseRoute]) -> Starlette:
    async def refused(request: Request, error: Exception) -> Response:
        """404 and 405 carry the ids and the version like every other answer, but an over-long id is only left out."""
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            answer = refusals.method_not_allowed((error.headers or {}).get("Allow", ", ".join(METHODS)))
        else:
            answer = refusals.not_found()
        return _response(facts, answer, from_scope(request.scope).identity().lines)

    async def failed(request: Request, error: Exception) -> Response:
        return _response(facts, refusals.answer_to(error), from_scope(request.scope).identity().lines)

    app = Starlette(routes=routes, exception_handlers={404: refused, 405: refused, Exception: failed})
    app.router.redirect_slashes = False  # `/swagger.json/` is an unknown path, not a detour to a known one
    return app


def _contract_route(path: str, facts: AppFacts, reply: Reply) -> Route:
    """A route with ids that are checked, and with CORS."""

    async def handle(request: Request) -> Response:
        head = from_scope(request.scope)
        identity = head.identity()
        cors = facts.cors.lines(head.method, head.get)
        if identity.deprecated:
            logger.warning(DEPRECATED)
        if identity.refusal:
            answer = refusals.message(431, identity.refusal)
        elif head.method == "OPTIONS":
            answer = Answer(
                200, b"", _HTML, failed=None, headers=b"Allow: %b\r\n" % ", ".join(METHODS).encode()
            )
        else:
            answer = reply(request)
        return _response(facts, answer, identity.lines, cors)

    return Route(path, handle, methods=list(METHODS))


def _probes(facts: AppFacts) -> list[Route]:
    """Routes for machines: never refused for what the caller sends along."""

    def route(path: str, reply: Reply) -> Route:
        async def handle(request: Request) -> Response:
            return _response(facts, reply(request), from_scope(request.scope).identity().lines)

        return Route(path, handle, methods=["GET", "HEAD"])

    def probe(path: str, answer: Callable[[], Answer]) -> Route:
        return route(path, lambda _: answer())

    routes = [probe(path, answer) for path, answer in health.probes(facts.health).items()]
    if (metrics := facts.metrics) is not None:

        def exposition(request: Request) -> Answer:
            body, content_type = metrics(request.headers.get("accept", ""))
            return Answer(200, body, content_type.encode("latin-1"), failed=None, headers=health.NO_STORE)

        routes.append(route("/metrics", exposition))
    if (scored := facts.scored) is not None:

        def last(request: Request) -> Answer:
            if request.client is None or not debug.permitted(request.client.host, request.headers):
                return refusals.not_found()
            return debug.answer(facts.health(), scored, request.query_params)

        routes.append(route(debug.ROUTE, last))
    return routes


def _response(facts: AppFacts, answer: Answer, ids: bytes, cors: bytes = b"") -> Response:
    response = Response(b"" if bodyless(answer.status) else answer.body, answer.status)
    response.raw_headers = facts.heads.header_list(answer, ids, cors)
    return response
