"""How a worker ended, in words."""

from __future__ import annotations

import signal
from dataclasses import dataclass

UNASKED = "the process exited with code 0, unasked: the script called os._exit(0) or closed the server's descriptors"


@dataclass(frozen=True)
class End:
    """`summary` is one line; empty when the worker was asked to end. `detail`: the script's traceback."""

    status: int  # exit code, or minus the signal
    summary: str
    detail: str = ""


def by_others(status: int, killed_because: str) -> bool:
    """Whether somebody else may have ended it: the system, short of memory, or a person. We and the script did not."""
    return not killed_because and status in (-signal.SIGTERM, -9)  # SIGKILL; Windows has no name for it


def describe(
    status: int, failure: tuple[str, str] | None, killed_because: str, asked: bool, step: str
) -> End:
    """What the worker said itself comes first, then why we ended it, then what its exit status tells.

    `step` is what it was doing, when it had not come up yet; else empty.
    """
    if failure is not None:
        return End(status, *failure)
    if killed_because:
        return End(status, f"killed: {killed_because}")
    if asked and status == 0:
        return End(status, "")
    if status == 0 and not step:
        return End(status, UNASKED)
    where = f" ({step})" if step else ""
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return End(status, f"the process was killed by {name}{hint}{where}")
    return End(status, f"the process exited with code {status}{where}")
