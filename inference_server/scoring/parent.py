"""A worker does not outlive its front, even one killed without a chance to say goodbye."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1
THREAD = "watches the front"  # its name


def die_with_parent(parent: int, channel: int) -> None:
    """Arrange for this process to end when process `parent` does, also while run() holds the interpreter.

    On Linux the kernel kills it. Elsewhere a thread waits for the front's end of the channel (descriptor
    `channel`) to close, where the system can tell; without either, the next read of the channel ends it.
    """
    if sys.platform == "linux" and _kernel_kills_with_parent():
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)
    elif hasattr(select, "poll"):
        threading.Thread(target=_wait_for_hang_up, args=(channel,), name=THREAD, daemon=True).start()


def _kernel_kills_with_parent() -> bool:
    try:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def _wait_for_hang_up(channel: int) -> None:
    poller = select.poll()
    poller.register(channel, 0)  # hang-up and error are always reported
    poller.poll()
    os._exit(1)
