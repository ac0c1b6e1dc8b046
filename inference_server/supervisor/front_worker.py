"""The front as gunicorn's worker, and the log gunicorn writes to."""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from inference_server.supervisor.life import live
from inference_server.supervisor.parent import die_with, watching

_IGNORED_UNTIL_READY = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1)


class FrontWorker(Worker):  # type: ignore[misc]
    """One process: the front. It has no application to load; it gets the settings and the listening sockets."""

    def init_signals(self) -> None:
        """Forget the supervisor's handlers. The front's own come with its event loop.

        SIGINT is ignored: a terminal sends it to every process of the command, and the supervisor passes it on as
        the one signal that counts. SIGABRT is what a front with a stuck loop is ended by: it shows where.
        """
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT, signal.SIGCHLD, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGWINCH, *_IGNORED_UNTIL_READY):
            signal.signal(number, signal.SIG_IGN)
        faulthandler.enable()

    def load_wsgi(self) -> None:
        """Nothing to load: the script is the workers' affair."""

    def run(self) -> None:
        """Serve until told to end. Exit code 3, the first start of the script failed, ends the supervisor too."""
        die_with(self.ppid)
        self.booted = False  # until the front stands, a failure is one of booting
        sockets = [listener.sock for listener in self.sockets]
        front = self.app.make_front(self.app.settings, sockets, watching(self.ppid, self.notify))
        front.first = self.age == 1
        self.booted = True
        on_signal: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: front.stop,
            signal.SIGQUIT: lambda: front.stop(now=True),
            signal.SIGHUP: front.reload,
            signal.SIGTTIN: lambda: front.scale(1),
            signal.SIGTTOU: lambda: front.scale(-1),
            signal.SIGUSR1: front.reopen_logs,
        }
        sys.exit(live(front, on_signal))


class SupervisorLog(Logger):  # type: ignore[misc]
    """gunicorn's log without handlers of its own: the loggers were set up before, with the rest."""

    def __init__(self, cfg: Any) -> None:
        ours = [logging.getLogger(name) for name in ("gunicorn.error", "gunicorn.access")]
        propagate = [log.propagate for log in ours]
        super().__init__(cfg)
        for log, was in zip(ours, propagate, strict=True):  # gunicorn turns it off
            log.propagate = was

    def setup(self, cfg: Any) -> None:
        """Keep the handlers and levels as they are."""
        self.cfg = cfg
