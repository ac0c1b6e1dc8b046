"""The scoring timeout inside the worker: one run() is interrupted when its time is up.

The timer interrupts Python code and system calls, not a long call into C; that is what the front's own watch
is for. It exists where the system has setitimer and run() is on the main thread.

The timer is not set anew for every call, which would be two system calls each, but once for all that the worker
has at hand: when it goes off, whatever runs then is held against its own limit.
"""

from __future__ import annotations

import signal
import threading
from time import monotonic
from typing import Any, Callable, Dict, Optional, Protocol

RETRY_SECONDS = 0.001


class ScoringTimeout(BaseException):
    """run() passed its limit. Not an Exception, so that a script's `except Exception` does not swallow it."""


class Writer(Protocol):
    """Whoever sends answers: a channel, or one that never does."""

    @property
    def writing(self) -> bool:
        """Whether a record is half way out, so that nothing may be raised now."""


class ScoringLimit:
    """Calls run() under a time limit of `limit_ms` milliseconds; 0 is none."""

    def __init__(self, limit_ms: int, channel: Writer) -> None:
        self._seconds = limit_ms / 1000
        self._channel = channel
        self._began = 0.0  # when run() was called, monotonic seconds; 0: it is not running
        self._set = False  # the timer
        self._possible = (
            limit_ms > 0
            and hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
        )
        if self._possible:
            signal.signal(signal.SIGALRM, self._expired)

    def run(self, function: Callable[..., Any], arguments: Dict[str, Any]) -> Any:
        """Raises ScoringTimeout at the limit, and whatever `function` raises."""
        if not self._possible:
            return function(**arguments)
        self._began = monotonic()
        if not self._set:
            self._set_timer(self._seconds)
        try:
            return function(**arguments)
        finally:
            self._began = 0.0

    def rest(self) -> None:
        """The worker has nothing at hand: a timer left over would interrupt a system call of the next run()."""
        if self._set:
            self._set = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _set_timer(self, seconds: float) -> None:
        self._set = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _expired(self, signum: int, frame: Optional[Any]) -> None:
        self._set = False
        if not self._began:
            return  # nothing runs; the next call sets the timer again
        left = self._began + self._seconds - monotonic()
        if self._channel.writing:  # a log record is half way out; a moment later it is whole
            left = max(left, RETRY_SECONDS)
        if left > 0:  # another call than the one the timer was set for
            self._set_timer(left)
            return
        raise ScoringTimeout(f"run() took longer than {self._seconds * 1000:.0f} ms")
