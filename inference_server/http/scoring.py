"""The scoring route's own rules: which requests need no worker, and until when the others are wanted.

Shared by the protocol and the plain ASGI application, so that both answer alike.
"""

from __future__ import annotations

import time

from inference_server.http import refusals, timing
from inference_server.http.head import TIMEOUT_HEADER, RequestHead
from inference_server.http.identity import DEPRECATED, Identity
from inference_server.http.site import Site
from inference_server.messages import Answer, Head, ScoringRequest
from inference_server.telemetry.insights import Insights

EARLY_BYTES = 64 * 1024  # with more of a body to come, whether the request is taken in is asked before
ALLOW = "GET, POST, OPTIONS"
HTML = b"text/html; charset=utf-8"


def answer_without_worker(site: Site, head: RequestHead, identity: Identity) -> Answer | None:
    """The answer to a request that no script sees, or None: it goes to a worker."""
    if identity.deprecated:
        site.warn(DEPRECATED)
    if identity.refusal:
        return refusals.message(431, identity.refusal)
    method = head.method
    if method == "POST" or method == "GET":
        return None
    facts = site.endpoint.facts
    if method == "OPTIONS":
        return None if facts is not None and facts.accepts_options else Answer(200, b"", HTML)
    if method == "HEAD":
        if facts is not None and facts.accepts_head:
            return None
        return refusals.method_not_allowed(ALLOW, refusals.HEAD_NOT_ALLOWED)
    return refusals.method_not_allowed(ALLOW)


def early_refusal(site: Site, head: RequestHead, body_bytes: int, arrived: float) -> Answer | None:
    """The answer to a request that cannot be taken in, before its body has come; None: let it come."""
    if head.method not in ("POST", "GET") or head.identity().refusal:
        return None
    return site.endpoint.refusal(body_bytes, deadline(site, head, arrived))


def deadline(site: Site, head: Head, arrived: float) -> float:
    """Until when a request wants its answer: the time it asks for, or the server's, whichever is shorter.

    In monotonic seconds, as `arrived` is; 0.0: none.
    """
    limit = site.request_timeout
    asked = head.get(TIMEOUT_HEADER)
    if asked is not None and asked.isdigit() and len(asked) < 12 and int(asked):
        seconds = int(asked) / 1000
        limit = min(limit, seconds) if limit else seconds
    return arrived + limit if limit else 0.0


def more_lines(
    site: Site, head: RequestHead, request: ScoringRequest | None, answer: Answer, answered: float
) -> bytes:
    """Header lines of an answer beside its own and the ids; it came at `answered`, in monotonic seconds."""
    lines = site.cors.lines(head.method, head.get) if site.cors.on else b""
    if request is not None and (head.timed or site.server_timing):
        lines += timing.line(request, answer, answered)
    return lines


def tell_insights(
    insights: Insights, scheme: str, head: RequestHead, identity: Identity, answer: Answer, latency: float
) -> None:
    """Note an answered scoring request for Application Insights."""
    body = None if answer.stream is not None else answer.body
    ids = identity.request_id, identity.client_request_id
    _tell(insights, scheme, head, answer.status, ids, body, latency)


def tell_insights_of_route(
    insights: Insights,
    scheme: str,
    head: RequestHead,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    latency: float,
) -> None:
    """The same for a route of the application, whose ids are known by the headers of its answer."""
    sent = {name: value.decode("latin-1") for name, value in headers}
    ids = sent.get(b"x-request-id", ""), sent.get(b"x-ms-client-request-id", "")
    _tell(insights, scheme, head, status, ids, body, latency)


def _tell(
    insights: Insights,
    scheme: str,
    head: RequestHead,
    status: int,
    ids: tuple[str, str],
    body: bytes | None,
    latency: float,
) -> None:
    host = (head.get(b"host") or b"").decode("latin-1")
    url = f"{scheme}://{host}{head.target.decode('latin-1')}"
    insights.request(head.path, url, head.method, status, time.time() - latency, latency, *ids, body)
