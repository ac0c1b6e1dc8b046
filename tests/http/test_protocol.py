"""The protocol on a real loop and a socketpair: however bytes are cut, the answers are the same.

Only requests that need no worker, so none is started; those that do are in tests/end_to_end.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from uvicorn.server import ServerState

from inference_server.http.protocol import ScoringProtocol, protocol_for
from inference_server.server import Engine
from inference_server.settings import load

T = TypeVar("T")

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
# request -> status of its answer
REQUESTS = {
    b"OPTIONS /score HTTP/1.1\r\nHost: a\r\n\r\n": 200,
    b"HEAD /score HTTP/1.1\r\nHost: a\r\n\r\n": 405,
    b"PUT /score HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345": 405,
    b"PUT /score HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: r\r\n\r\n": 405,
    b"PUT /score HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"0\r\n\r\n": 405,
    b"\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n": 200,
    b"GET /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc": 503,
    b"GET /unknown HTTP/1.1\r\nHost: a\r\n\r\n": 404,
    b"OPTIONS /score HTTP/1.0\r\nConnection: keep-alive\r\n\r\n": 200,
}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def within(loop: asyncio.AbstractEventLoop, what: Coroutine[Any, Any, T]) -> T:
    return loop.run_until_complete(asyncio.wait_for(what, 20))


async def connect(down: bool = False, **changes: Any) -> tuple[socket.socket, ServerState]:
    """A client's end of a connection to a protocol of its own site; `changes` are those of the settings of HTTP.

    `down`: every scoring request is refused.
    """
    given_values = {f"http.{name}": value for name, value in changes.items()}
    engine = Engine(load({"script.entry_script": "score.py", **given_values}))
    if down:
        engine.endpoint.fail("nobody serves")
    site = engine.site
    state = ServerState()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    kind = protocol_for(site)

    def make() -> ScoringProtocol:
        return kind(None, state, {})

    await asyncio.get_running_loop().connect_accepted_socket(make, theirs)
    return ours, state


async def read_to_end(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while part := await loop.sock_recv(sock, 65536):
        data += part
    return data


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


@trying(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), picked=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=8))
def test_any_requests_cut_anywhere_are_answered_in_order(
    loop: asyncio.AbstractEventLoop, data: st.DataObject, picked: list[bytes]
) -> None:
    sent = b"".join(picked) + b"OPTIONS /score HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    cuts = data.draw(st.lists(st.integers(1, len(sent) - 1), max_size=30, unique=True))
    ends = sorted([*cuts, len(sent)])

    async def talk() -> bytes:
        sock, state = await connect()
        at = 0
        for end in ends:
            await asyncio.get_running_loop().sock_sendall(sock, sent[at:end])
            await asyncio.sleep(0)  # the protocol's turn
            at = end
        answered = await read_to_end(sock)
        sock.close()
        assert not state.connections
        assert not state.tasks
        return answered

    assert statuses(within(loop, talk())) == [*map(REQUESTS.__getitem__, picked), 200]


def test_an_idle_connection_is_closed_when_the_server_stops(loop: asyncio.AbstractEventLoop) -> None:
    async def talk() -> bytes:
        sock, state = await connect()
        await asyncio.get_running_loop().sock_sendall(sock, b"OPTIONS /score HTTP/1.1\r\nHost: a\r\n\r\n")
        data = await asyncio.get_running_loop().sock_recv(sock, 65536)
        for connection in list(state.connections):
            connection.shutdown()
        return data + await read_to_end(sock)

    assert statuses(within(loop, talk())) == [200]


def test_a_request_in_the_making_is_finished_when_the_server_stops(loop: asyncio.AbstractEventLoop) -> None:
    async def talk() -> bytes:
        sock, state = await connect()
        loop = asyncio.get_running_loop()
        before = b"OPTIONS /score HTTP/1.1\r\nHost: a\r\n\r\n"
        await loop.sock_sendall(
            sock, before + b"PUT /score HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab"
        )
        assert statuses(await loop.sock_recv(sock, 65536)) == [200]
        for connection in list(state.connections):
            connection.shutdown()
        await loop.sock_sendall(sock, b"cd")
        return await read_to_end(sock)

    answered = within(loop, talk())
    assert statuses(answered) == [405]
    assert b"Connection: close" in answered


def test_what_a_refused_client_still_sends_is_read_and_dropped(loop: asyncio.AbstractEventLoop) -> None:
    async def talk() -> bytes:
        sock, state = await connect(max_body_bytes=10)
        send = asyncio.get_running_loop().sock_sendall
        await send(sock, b"PUT /score HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        answered = await read_to_end(sock)
        await send(sock, b"x" * 100_000 + b"OPTIONS /score HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(state.connections) == 1
        sock.close()
        while state.connections:
            await asyncio.sleep(0.01)
        return answered

    assert statuses(within(loop, talk())) == [413]


@pytest.mark.parametrize("more", [b"", b"Expect: 100-continue\r\n", b"x-request-id: mine\r\n"])
def test_a_large_body_is_not_waited_for_when_the_request_is_refused(
    loop: asyncio.AbstractEventLoop, more: bytes
) -> None:
    async def talk() -> bytes:
        sock, state = await connect(down=True)
        send = asyncio.get_running_loop().sock_sendall
        await send(sock, b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n%b\r\n" % more)
        answered = await read_to_end(sock)
        await send(sock, b"x" * 1_000_000)  # what is on its way is read and dropped
        sock.close()
        while state.connections:
            await asyncio.sleep(0.01)
        return answered

    answered = within(loop, talk())
    assert statuses(answered) == [503]
    assert b"Connection: close" in answered
    assert b"Retry-After: 1" in answered
    assert b"x-request-id: " + (b"mine" if b"mine" in more else b"") in answered


def test_a_small_body_is_read_and_the_connection_kept_when_the_request_is_refused(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def talk() -> bytes:
        sock, _ = await connect(down=True)
        send = asyncio.get_running_loop().sock_sendall
        await send(sock, b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        await send(sock, b"x" * 1000 + b"OPTIONS /score HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return await read_to_end(sock)

    assert statuses(within(loop, talk())) == [503, 200]


def test_other_methods_and_wrong_ids_keep_their_answers_when_scoring_is_refused(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def talk(line: bytes) -> bytes:
        sock, _ = await connect(down=True)
        send = asyncio.get_running_loop().sock_sendall
        await send(sock, line + b"Host: a\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n")
        await send(sock, b"x" * 100_000)
        return await read_to_end(sock)

    assert statuses(within(loop, talk(b"PUT /score HTTP/1.1\r\n"))) == [405]
    long = b"POST /score HTTP/1.1\r\nx-request-id: %b\r\n" % (b"a" * 101)
    assert statuses(within(loop, talk(long))) == [431]


def test_only_who_asks_is_told_where_the_time_went(loop: asyncio.AbstractEventLoop) -> None:
    async def talk() -> bytes:
        sock, _ = await connect(down=True)
        send = asyncio.get_running_loop().sock_sendall
        await send(sock, b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        asks = b"POST /score HTTP/1.1\r\nHost: a\r\nServer-Timing: ?\r\nConnection: close\r\n\r\n"
        await send(sock, asks)
        return await read_to_end(sock)

    first, second = within(loop, talk()).split(b"HTTP/1.1 503")[1:]
    assert b"Server-Timing" not in first
    assert re.search(
        rb"\r\nServer-Timing: parse;dur=0\.000, queue;dur=\d+\.\d{3}, total;dur=\d+\.\d{3}\r\n", second
    )
