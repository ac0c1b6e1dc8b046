"""Who starts the front, keeps the listening sockets for it, and starts it again when it dies."""

from __future__ import annotations

from typing import Protocol

from inference_server.settings import Settings
from inference_server.supervisor.life import Front, FrontFactory, real_front

__all__ = ["Front", "FrontFactory", "Supervisor", "choose", "real_front"]


class Supervisor(Protocol):
    """Runs the server to its end."""

    settings: Settings  # as they hold after the supervisor's own configuration was read

    def run(self) -> int:
        """Returns the exit code, or ends the process with it."""


def choose(settings: Settings, make_front: FrontFactory = real_front) -> Supervisor:
    """The supervisor that the settings name, ready to run.

    gunicorn itself ends the program, with one line on stderr and exit code 1, for a configuration it cannot use.
    """
    if settings.supervisor.supervisor == "none":
        from inference_server.supervisor.alone import Alone

        return Alone(settings, make_front)
    from inference_server.supervisor.gunicorn_app import GunicornSupervisor

    return GunicornSupervisor(settings, make_front)
