"""Servers of a few bytes that do what real ones do when they are in trouble."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

Handle = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nboom"


@contextlib.contextmanager
def listening(handle: Handle) -> Iterator[int]:
    """The port of a server that has `handle` talk on each connection, in a thread of its own, and then closes it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    connections: list[socket.socket] = []

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            handle(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def always(*answers: bytes, pieces: int = 1, close: bool = False) -> Handle:
    """Give the requests of a connection these answers in turn, then the last one again; each in so many pieces."""

    def handle(connection: socket.socket) -> None:
        waiting = list(answers)
        while connection.recv(65536):
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            size = max(1, -(-len(answer) // pieces))
            for at in range(0, len(answer), size):
                connection.sendall(answer[at : at + size])
            if close:
                return

    return handle


def resets(connection: socket.socket) -> None:
    """Take the request, then reset the connection."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closes(connection: socket.socket) -> None:
    """Take the request, then close the connection without a word."""
    connection.recv(65536)


def silent(connection: socket.socket) -> None:
    """Take what comes and never answer."""
    while connection.recv(65536):
        pass


def deaf(connection: socket.socket) -> None:
    """Not even read; ends when the client leaves."""
    while connection.recv(1, socket.MSG_PEEK):
        threading.Event().wait(0.05)
