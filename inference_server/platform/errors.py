"""What can go wrong with the state and the registry, named as Azure names it.

PlatformError       `code`
├── StateUnusable   InternalServerError   the folder, the disk or the database; exit code 3
├── NotFound        ResourceNotFound
├── AlreadyThere    ResourceConflict      the name is taken
├── Overtaken       Conflict              somebody else was faster
└── Refused         BadArgument           a value that cannot be used
"""

from __future__ import annotations

from typing import ClassVar

from inference_server.errors import InferenceServerError


class PlatformError(InferenceServerError):
    """It was not done, and nothing has changed. One line: what, where, how to fix it."""

    code: ClassVar[str] = "BadRequest"


class StateUnusable(PlatformError):
    """The state cannot be read or written."""

    code = "InternalServerError"
    exit_code = 3


class NotFound(PlatformError):
    """There is nothing of that name."""

    code = "ResourceNotFound"


class AlreadyThere(PlatformError):
    """There is something else of that name."""

    code = "ResourceConflict"


class Overtaken(PlatformError):
    """It was changed since it was read, or another process has the right to change it."""

    code = "Conflict"


class Refused(PlatformError):
    """A name, a version or a value that cannot be used."""

    code = "BadArgument"
