"""No supervisor: the front alone in this process, as on Windows."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable

from inference_server.settings import Settings
from inference_server.supervisor.life import FrontFactory, live

TRIES = 5  # how often an address in use is tried, a second apart

log = logging.getLogger("gunicorn.error")


class Alone:
    """Binds the sockets, runs the front, and is told by signals when to end."""

    def __init__(self, settings: Settings, make_front: FrontFactory) -> None:
        self.settings = settings
        self._make_front = make_front
        self._stops = 0

    def run(self) -> int:
        """Serve until stopped; returns the exit code, 1 when an address cannot be listened on."""
        sockets: list[socket.socket] = []
        for address in self.settings.listen.binds:
            bound = _listen(address, self.settings.listen.backlog)
            if bound is None:
                return 1
            sockets.append(bound)
        front = self._make_front(self.settings, sockets, None)

        def stop() -> None:
            self._stops += 1
            front.stop(now=self._stops > 1)

        actions: dict[signal.Signals, Callable[[], None]] = {signal.SIGINT: stop, signal.SIGTERM: stop}
        if sys.platform == "win32":
            actions[signal.SIGBREAK] = stop
        else:
            actions[signal.SIGQUIT] = lambda: front.stop(now=True)
            actions[signal.SIGHUP] = front.reload
            actions[signal.SIGTTIN] = lambda: front.scale(1)
            actions[signal.SIGTTOU] = lambda: front.scale(-1)
            actions[signal.SIGUSR1] = front.reopen_logs
        return live(front, actions)


def _listen(address: tuple[str, int], backlog: int) -> socket.socket | None:
    """A listening socket, or None after some tries, said in the log."""
    for attempt in range(TRIES):
        try:
            return _bound(address, backlog)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                log.error("Connection in use: %s", address)
            else:
                log.error("Cannot listen on %s: %s", address, error)
        if attempt + 1 < TRIES:
            time.sleep(1)
    log.error("Can't connect to %s; stop what uses that port, or choose another with --port", address)
    return None


def _bound(address: tuple[str, int], backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Windows lets another program take over a port that was bound with SO_REUSEADDR.
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
