"""Clients that keep asking while something happens to the server."""

from __future__ import annotations

import http.client
import json
import threading
from types import TracebackType
from typing import Any

from tests.end_to_end.running import Reply, Server, wait_for


class Load:
    """While the block runs, `clients` threads ask for their running number, each on a connection it keeps."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]
        self.replies: list[tuple[int, int, Any]] = []  # what was asked for, status, value
        self.errors: list[Exception] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.replies or self.errors)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
        try:
            while not self._stop.is_set():
                connection.request("POST", "/score", json.dumps(number))
                response = connection.getresponse()
                body = response.read()
                self.replies.append((number, response.status, json.loads(body)))
                number += len(self._threads)
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.close()

    def values(self) -> list[Any]:
        """What was answered last, one value for each client."""
        return [value for _, _, value in self.replies[-len(self._threads) :]]


class Asking:
    """One request in a thread of its own; `reply` waits for its answer."""

    def __init__(self, server: Server, value: Any, headers: dict[str, str] | None = None) -> None:
        self._reply: Reply | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._ask, args=(server, value, headers), daemon=True)
        self._thread.start()

    def _ask(self, server: Server, value: Any, headers: dict[str, str] | None) -> None:
        try:
            self._reply = server.score(value, headers, timeout=60)
        except (OSError, http.client.HTTPException) as error:
            self._error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def reply(self, seconds: float = 30.0) -> Reply:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "no answer"
        if self._error is not None:
            raise self._error
        assert self._reply is not None
        return self._reply
