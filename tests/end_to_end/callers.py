"""Many callers at once on one event loop, each with a connection it keeps: for load that threads would not make."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple


class Got(NamedTuple):
    """One answer: status, headers by lower-case name, the JSON value of its body."""

    status: int
    headers: dict[str, str]
    value: Any


class Caller:
    """One connection to `port`, opened when it is first needed and again after it was left."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, value: Any, headers: dict[str, str] | None = None) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        body = json.dumps(value).encode()
        lines = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
        head = f"POST /score HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self._streams[1].write(head.encode() + body)

    async def receive(self) -> Got:
        assert self._streams is not None
        reader = self._streams[0]
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.leave()
        return Got(int(first.split()[1]), headers, json.loads(body))

    async def ask(self, value: Any, headers: dict[str, str] | None = None) -> Got:
        await self.send(value, headers)
        return await self.receive()

    def leave(self) -> None:
        """Close the connection, whatever was asked on it."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def reset(self) -> None:
        """Leave without a word."""
        if self._streams is not None:
            sock = self._streams[1].get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.leave()


def run_all(port: int, works: Iterable[Callable[[Caller], Awaitable[None]]], seconds: float = 40.0) -> None:
    """Run each work with a caller of its own, all at the same time."""

    async def one(work: Callable[[Caller], Awaitable[None]]) -> None:
        caller = Caller(port)
        try:
            await work(caller)
        finally:
            caller.leave()

    async def main() -> None:
        await asyncio.wait_for(asyncio.gather(*map(one, works)), seconds)

    asyncio.run(main())
