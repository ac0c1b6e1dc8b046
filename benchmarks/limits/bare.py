"""The bare protocol: httptools inside uvicorn, a socketpair, a process that does the work. Nothing else.

No routing, limits, health, ids, metrics, log, timeouts, or care for a client that leaves: the least that a server of
two processes in Python can do for one request. Ours is measured against it.

    python bare.py PORT
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import socket
import struct
import sys
from collections import deque
from typing import Any

import uvicorn
import uvloop
from httptools import HttpRequestParser

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
COUNT = struct.Struct("<I")


def pack(bodies: list[bytes]) -> bytes:
    """One frame: how many, their lengths, the bodies."""
    count = len(bodies)
    return b"".join((struct.pack(f"<{count + 1}I", count, *map(len, bodies)), *bodies))


def unpack(buffer: bytearray) -> list[bytes] | None:
    """The bodies of one whole frame, which is removed from the buffer; None while it is not complete."""
    if len(buffer) < COUNT.size:
        return None
    (count,) = COUNT.unpack_from(buffer)
    at = COUNT.size * (count + 1)
    if len(buffer) < at:
        return None
    lengths = struct.unpack_from(f"<{count}I", buffer, COUNT.size)
    if len(buffer) < at + sum(lengths):
        return None
    bodies = []
    for length in lengths:
        bodies.append(bytes(buffer[at : at + length]))
        at += length
    del buffer[:at]
    return bodies


def worker(channel: socket.socket) -> None:
    """The other process: a frame in, json.loads, the work, json.dumps, a frame out."""
    answer = importlib.import_module(os.environ["BENCH_WORKLOAD"]).answer
    loads, dumps = json.loads, json.dumps
    buffer = bytearray()
    while True:
        bodies = unpack(buffer)
        while bodies is None:
            piece = channel.recv(1 << 20)
            if not piece:
                return
            buffer += piece
            bodies = unpack(buffer)
        channel.sendall(pack([dumps(answer(loads(body))).encode() for body in bodies]))


class Channel(asyncio.Protocol):
    """The front's end: everything that waits goes out in one frame as soon as the worker is free."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.waiting: deque[tuple[Front, bytes]] = deque()
        self.sent: list[Front] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def submit(self, front: Front, body: bytes) -> None:
        self.waiting.append((front, body))
        if not self.sent:
            self.send()

    def send(self) -> None:
        batch = list(self.waiting)
        self.waiting.clear()
        self.sent = [front for front, _ in batch]
        self.transport.write(pack([body for _, body in batch]))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        answers = unpack(self.buffer)
        if answers is None:
            return
        fronts, self.sent = self.sent, []
        if self.waiting:
            self.send()
        for front, answer in zip(fronts, answers, strict=True):
            front.reply(answer)


class Front(asyncio.Protocol):
    """One connection, on the constructor that uvicorn calls."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self.channel: Channel = config.app
        self.parser = HttpRequestParser(self)
        self.connections = server_state.connections
        self.pieces: list[bytes] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        body = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        self.pieces = []
        self.channel.submit(self, body)

    def reply(self, body: bytes) -> None:
        if self.transport is not None:
            self.transport.write(HEAD % (len(body), body))

    def shutdown(self) -> None:
        self.transport.close()


async def serve(port: int, near: socket.socket) -> None:
    _, channel = await asyncio.get_running_loop().create_connection(Channel, sock=near)
    config = uvicorn.Config(
        channel,
        host="127.0.0.1",
        port=port,
        http=Front,
        lifespan="off",
        interface="asgi3",
        log_level="warning",
    )
    await uvicorn.Server(config).serve()


def main() -> None:
    near, far = socket.socketpair()
    if os.fork() == 0:
        near.close()
        worker(far)
        os._exit(0)
    far.close()
    uvloop.run(serve(int(sys.argv[1]), near))


if __name__ == "__main__":
    main()
