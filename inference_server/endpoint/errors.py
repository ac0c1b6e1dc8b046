"""What cannot be done to an endpoint, named as Azure names it: `code` is that name."""

from __future__ import annotations

from typing import ClassVar

from inference_server.errors import InferenceServerError


class EndpointError(InferenceServerError):
    """What was asked for is not done, and nothing has changed. The text is one sentence: what, and what to do."""

    code: ClassVar[str] = "BadRequest"


class BadArgument(EndpointError):
    """A value cannot be used."""

    code = "BadArgument"


class ResourceNotFound(EndpointError):
    """There is no deployment of that name."""

    code = "ResourceNotFound"


class NotInstalled(EndpointError):
    """A library is missing where the server runs."""

    code = "BadArgument"
