"""gunicorn as the supervisor of one process, the front.

Of gunicorn we use the arbiter (fork, heartbeat, respawn, listeners, signals, pid file, hooks) and its
configuration; HTTP is the front's own. Works with gunicorn 23 and newer.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

from gunicorn import util
from gunicorn.app.base import Application
from gunicorn.arbiter import Arbiter
from gunicorn.config import get_default_config_file

from inference_server.settings import Settings
from inference_server.supervisor.gunicorn_settings import forced, taken_over
from inference_server.supervisor.life import FrontFactory

MEMORY = "/dev/shm"  # the front's heartbeat is a file's time: on a busy disk, setting it would hold the loop
END_NOW_SECONDS = 1.0  # what the front is given to end by itself after a second signal


class GunicornSupervisor(Application):  # type: ignore[misc]
    """Reads gunicorn's configuration into the settings, then supervises the front."""

    def __init__(self, settings: Settings, make_front: FrontFactory) -> None:
        self.settings = settings
        self.make_front = make_front
        super().__init__(prog="azmlinfsrv")

    def load_config(self) -> None:
        """`./gunicorn.conf.py` or the file GUNICORN_CMD_ARGS names, then GUNICORN_CMD_ARGS, then our own."""
        from_variable = self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env())
        file = from_variable.config or get_default_config_file()
        explicit: dict[str, Any] = {}
        if file:
            # The file may import what lies beside it. At the end of the path, so that none of it can stand
            # before a library of the server.
            sys.path.append(os.getcwd())
            content = self.load_config_from_file(file)
            explicit = {name: content[name] for name in content if name in self.cfg.settings}
        for name, value in vars(from_variable).items():
            if value is not None and name != "args":
                self.cfg.set(name, value)
                explicit[name] = value
        self.settings = taken_over(self.settings, {name: self.cfg.settings[name].get() for name in explicit})
        for name, value in forced(self.settings).items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
        if "worker_tmp_dir" not in explicit and os.access(MEMORY, os.W_OK):
            self.cfg.set("worker_tmp_dir", MEMORY)
        os.chdir(self.cfg.chdir)
        if self.cfg.pythonpath:
            sys.path.extend(os.path.abspath(path) for path in self.cfg.pythonpath.split(","))

    def run(self) -> NoReturn:
        """Supervise until the end, which is an exit of the process, in the front as in the supervisor."""
        if self.cfg.print_config:
            print(self.cfg, flush=True)
        if self.cfg.print_config or self.cfg.check_config:
            sys.exit(0)
        if self.cfg.daemon:
            util.daemonize(self.cfg.enable_stdio_inheritance)
        FrontArbiter(self).run()
        raise SystemExit(0)


class FrontArbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's arbiter with one worker, the front, to which it passes on what is about model workers."""

    def __init__(self, app: GunicornSupervisor) -> None:
        super().__init__(app)
        self._stops = 0
        # For USR2, the replacement of a running server by a new one. Not the path of the script that was started:
        # as a script, our __main__.py would find the package's rooms in place of the standard library's modules.
        self.START_CTX["args"] = [sys.executable, "-m", "inference_server", *sys.argv[1:]]

    def signal(self, sig: int, frame: Any) -> None:
        """Queue a signal, as gunicorn does; the second one that means «stop» ends the front at once."""
        if sig in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._stops += 1
            if self._stops > 1:
                self._end_now()
        super().signal(sig, frame)

    def _end_now(self) -> None:
        self.kill_workers(signal.SIGQUIT)
        signal.signal(signal.SIGALRM, lambda _sig, _frame: self.kill_workers(signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, END_NOW_SECONDS)

    def handle_int(self) -> None:
        """Ctrl-C is as graceful as SIGTERM; a second one is not."""
        self.handle_term()

    def handle_hup(self) -> None:
        """HUP rolls the model workers; gunicorn's configuration is not read again."""
        self.kill_workers(signal.SIGHUP)

    def handle_ttin(self) -> None:
        """One model worker more; or the front again, after a WINCH had it stop."""
        if self.num_workers:
            self.kill_workers(signal.SIGTTIN)
        else:
            super().handle_ttin()

    def handle_ttou(self) -> None:
        """One model worker less."""
        self.kill_workers(signal.SIGTTOU)
