"""One caller, one connection, one request at a time: the latency that a server adds when nobody else is there."""

from __future__ import annotations

import contextlib
import socket
import time

from benchmarks.load.http import Answers, request_bytes


class Connection:
    """A blocking client that opens its connection again when the server closes it."""

    def __init__(
        self, port: int, route: str, body: bytes, method: str = "POST", timeout: float = 30.0
    ) -> None:
        self.port = port
        self.timeout = timeout
        self.request = request_bytes(port, route, body, method)
        self.socket: socket.socket | None = None
        self.answers = Answers()

    def ask(self) -> tuple[int, bytes]:
        """Send the request, wait for its answer: status and body. Raises OSError when the server does not answer."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), self.timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.answers = Answers()
        try:
            self.socket.sendall(self.request)
            answer = None
            while answer is None:
                data = self.socket.recv(1 << 18)
                if not data:
                    raise ConnectionError("the server closed the connection in the middle of an answer")
                answer = self.answers.feed(data)
        except OSError:
            self.close()
            raise
        if not self.answers.keep:
            self.close()
        return answer

    def close(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.close()
            self.socket = None


def latencies(connection: Connection, seconds: float) -> list[float]:
    """Milliseconds of each request, one after the other for that long; a new connection's cost is the server's."""
    spent = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        status, _ = connection.ask()
        if status != 200:
            raise RuntimeError(f"answered {status}")
        spent.append((time.perf_counter() - start) * 1000)
    return spent


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
