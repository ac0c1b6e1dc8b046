"""Runs a program that does not outlive who wanted it, nor does anything it starts. A file of its own: run by path.

    python -I -S leash.py PID program arguments…

PID is the parent. When that ends, even by a kill it cannot see coming, the whole process group is ended.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5


def main() -> int:
    """Run it to its end; returns its exit code."""
    parent, words = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGUSR1, lambda *_: os.killpg(0, signal.SIGKILL))
    signal.signal(signal.SIGTERM, lambda *_: None)  # for the program: this waits for it
    told = sys.platform == "linux" and _kernel_tells()
    if os.getppid() != parent:
        return 1
    pid = os.posix_spawnp(words[0], words, os.environ)
    while True:
        ended, status = os.waitpid(pid, 0 if told else os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) & 0xFF
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)


def _kernel_tells() -> bool:
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1) == 0)
    except (ImportError, OSError, AttributeError):
        return False


if __name__ == "__main__":
    sys.exit(main())
