"""The scoring route as a plain ASGI application, over the same engine as the fast lane.

Slower than the protocol class by the price of a task and a scope, and for that it runs under any ASGI server
and mounted in any ASGI application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

from inference_server.http import answers, refusals, scoring
from inference_server.http.head import RequestHead
from inference_server.http.identity import Identity
from inference_server.http.site import Site
from inference_server.messages import Answer, AnswerStream, Peer, ScoringRequest
from inference_server.telemetry.access import About

_UNNAMED = About("", "", "", "", "", False)  # the server around this application writes its own lines


class ClientLeft(Exception):
    """The client closed the connection before it was answered."""


async def score(site: Site, head: RequestHead, scope: Any, receive: Any, send: Any) -> None:
    """Answer one request for the scoring route; `head` is that of `scope`."""
    arrived = answered = monotonic()
    identity = head.identity()
    request = None
    gone = None
    try:
        answer = scoring.answer_without_worker(site, head, identity) or _early_refusal(site, head, arrived)
        if answer is None:
            pieces = await _read(receive, site.limits.body_bytes)
            gone = asyncio.ensure_future(_disconnected(receive))
            if pieces is None:
                answer = refusals.message(
                    413, f"the request body is larger than {site.limits.body_bytes} bytes"
                )
            else:
                future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
                request = _request(scope, head, identity, pieces, arrived, future)
                answer = await _answered(site, request, future, gone)
        answered = monotonic()
        lines = identity.lines + scoring.more_lines(site, head, request, answer, answered)
        sent = await _send(site, head, lines, answer, send, gone)
    except ClientLeft:
        answer, sent, answered = refusals.client_left(), 0, monotonic()
    finally:
        if gone is not None:
            gone.cancel()
    now = monotonic()
    latency = now - arrived
    entry = (_UNNAMED, answer.status, sent, sent, False, latency, sent, request, answer, now - answered)
    site.ledger.note(entry, asyncio.get_running_loop().call_soon)
    if site.insights is not None:
        scoring.tell_insights(site.insights, scope.get("scheme", "http"), head, identity, answer, latency)


def _early_refusal(site: Site, head: RequestHead, arrived: float) -> Answer | None:
    length = head.get(b"content-length") or b""
    if not length.isdigit() or len(length) > 18 or int(length) <= scoring.EARLY_BYTES:
        return None
    return scoring.early_refusal(site, head, int(length), arrived)


async def _read(receive: Any, limit: int) -> list[bytes] | None:
    """The pieces of the body; None when they are more than `limit` bytes. Raises ClientLeft."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit > 0:
            return None
        if piece:
            pieces.append(piece)
        if not message.get("more_body", False):
            return pieces


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _request(
    scope: Any,
    head: RequestHead,
    identity: Identity,
    pieces: list[bytes],
    arrived: float,
    future: asyncio.Future[Answer],
) -> ScoringRequest:
    peer = Peer(_address(scope.get("client")), _address(scope.get("server")), scope.get("scheme", "http"))
    size = sum(map(len, pieces))
    request = ScoringRequest(head, pieces, size, arrived, future.set_result, identity, peer)
    request.received = monotonic()
    return request


def _address(end: Sequence[Any] | None) -> str:
    """`host:port` of one end of a connection; empty when it has none."""
    return f"{end[0]}:{end[1]}" if end else ""


async def _answered(
    site: Site, request: ScoringRequest, future: asyncio.Future[Answer], gone: asyncio.Future[None]
) -> Answer:
    """The answer. Raises ClientLeft when the client goes first: then the request is not run, if it still waits."""
    request.deadline = scoring.deadline(site, request.head, request.arrived)
    site.endpoint.submit(request)
    try:
        either: set[asyncio.Future[Any]] = {future, gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        site.endpoint.leave(request)
        raise
    if not future.done():
        site.endpoint.leave(request)
        raise ClientLeft
    return future.result()


async def _send(
    site: Site,
    head: RequestHead,
    lines: bytes,
    answer: Answer,
    send: Any,
    gone: asyncio.Future[None] | None,
) -> int:
    """Send the answer; returns how many bytes its body had. `lines`: header lines of this request."""
    headers = site.heads.header_list(answer, lines)
    empty = answers.framing(answer, head.method, head.version) == answers.NO_BODY
    stream = answer.stream
    if stream is not None and empty:
        stream.close()
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if stream is not None and not empty:
        return await _pump(stream, send, gone)
    body = b"" if empty else bytes(answer.body)
    await send({"type": "http.response.body", "body": body})
    return len(body)


async def _pump(stream: AnswerStream, send: Any, gone: asyncio.Future[None] | None) -> int:
    """Pass chunks on as the client takes them. A stream that breaks raises, so that the server cuts the answer."""
    chunks: asyncio.Queue[bytes | bool] = asyncio.Queue()
    if gone is not None:
        gone.add_done_callback(lambda _: chunks.put_nowait(False))
    stream.attach(chunks.put_nowait, chunks.put_nowait)
    sent = 0
    try:
        while isinstance(chunk := await chunks.get(), bytes | bytearray):
            await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
            sent += len(chunk)
            stream.grant(len(chunk))
    except BaseException:
        stream.close()
        raise
    if gone is not None and gone.done():
        stream.close()
        return sent
    if not chunk:
        raise RuntimeError("the stream broke before its end")
    await send({"type": "http.response.body", "body": b""})
    return sent
