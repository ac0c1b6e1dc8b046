"""What merging sees of one request, and what it cannot do."""

from __future__ import annotations

from typing import Any, Hashable, NamedTuple

from inference_server.scoring.errors import describe_failure


class Payload(NamedTuple):
    """One request that may share a run() call with others of the same `key`."""

    rows: int  # at least 1
    key: Hashable  # the shape of a row, and all inputs that are not rows
    value: Any  # the merger's own: what it needs to build the merged arguments
    length: int = 0  # items on axis 1, where the script declares a padding and calls may mix lengths; else 0


class NotSplittable(Exception):
    """A result that cannot be cut into one per request. The text is the reason, one sentence."""


def described(error: BaseException) -> str:
    """Why a merged call failed, in one line."""
    return str(error) if isinstance(error, NotSplittable) else describe_failure(error)[0]
