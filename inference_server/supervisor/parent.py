"""A child never outlives its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends (Linux); end now when that has happened already.

    To be called after a change of user, which makes the kernel forget it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    end_without(parent)


def end_without(parent: int) -> None:
    """End this process at once when its parent is no longer `parent`."""
    if os.getppid() != parent:
        os._exit(1)


def watching(parent: int, beat: Callable[[], None]) -> Callable[[], None]:
    """`beat`, that also looks after the parent: for systems whose kernel does not."""

    def watched() -> None:
        end_without(parent)
        beat()

    return watched
