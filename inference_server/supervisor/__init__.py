"""Who starts the front, keeps the listening sockets for it, and starts it again when it dies."""

from __future__ import annotations

from typing import Protocol

from inference_server.settings import Settings
from inference_server.supervisor.life import Front, FrontFactory

__all__ = ["Front", "FrontFactory", "Supervisor", "choose"]


class Supervisor(Protocol):
    """Runs the server to its end."""

    settings: Settings  # as they hold after the supervisor's own configuration was read

    def run(self) -> int:
        """Returns the exit code, or ends the process with it."""


def choose(settings: Settings, make_front: FrontFactory | None = None) -> Supervisor:
    """The supervisor that the settings name, ready to run the front that `make_front` makes (`server.Front`).

    The front's modules are imported here, before any fork, so that a front that is replaced need not import them
    again. gunicorn itself ends the program, with one line on stderr and exit code 1, for a configuration it cannot
    use.
    """
    if make_front is None:
        from inference_server.server import Front as ServerFront

        make_front = ServerFront
    if settings.supervisor.supervisor == "none":
        from inference_server.supervisor.alone import Alone

        return Alone(settings, make_front)
    from inference_server.supervisor.gunicorn_app import GunicornSupervisor

    return GunicornSupervisor(settings, make_front)
