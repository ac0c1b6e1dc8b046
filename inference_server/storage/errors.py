"""What can go wrong at this end; what can go wrong at the source's lies with the source.

    SourceError (source.py)    1   the source cannot be read; the network
    DestinationError           3   the folder or the disk
    ContentError               4   what came is not what it should be: checksum, archive
    Stopped                        somebody asked for it

The number is what the command exits with.
"""

from __future__ import annotations

import errno

from inference_server.errors import InferenceServerError


class DestinationError(InferenceServerError):
    """It cannot be kept here: no space, no right, something else is there. One line that says how to fix it."""

    exit_code = 3


class ContentError(InferenceServerError):
    """What was fetched is not what it should be: a wrong checksum, an archive that is damaged or not harmless."""

    exit_code = 4


class Stopped(InferenceServerError):
    """The run was asked to end. What was fetched is kept, and the next run goes on from there."""


def cannot_write(path: object, error: OSError) -> DestinationError:
    """What the system says of a file that cannot be written, as one line."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return DestinationError(f"the disk of {path} is full: free some space there, or choose another disk")
    if error.errno == errno.EFBIG:
        return DestinationError(f"a file below {path} may not become that large: raise the limit (ulimit -f)")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DestinationError(
            f"{path} cannot be written ({error.strerror}): give this user the right to, or choose another folder"
        )
    return DestinationError(f"{path} cannot be written: {error.strerror or error}")
