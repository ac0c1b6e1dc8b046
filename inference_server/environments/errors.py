"""What can go wrong on the way to an environment."""

from __future__ import annotations

from inference_server.errors import StartError


class EnvironmentFailed(StartError):
    """There is no environment: `summary` says why and what to do, `detail` quotes what decided it."""


class BadDefinition(EnvironmentFailed):
    """The definition cannot be used as it is: `summary` names file, line and fix."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")


class Stopped(EnvironmentFailed):
    """Somebody asked for the end while an environment was being built; nothing of it is left."""
