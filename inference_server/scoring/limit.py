"""The scoring timeout inside the worker: one run() is interrupted when its time is up.

The timer interrupts Python code and system calls, not a long call into C; that is what the front's own watch
is for. It exists where the system has setitimer and run() is on the main thread.
"""

from __future__ import annotations

import signal
import threading
from typing import Any, Callable, Dict, Optional

from inference_server.scoring.channel import Channel

RETRY_SECONDS = 0.001


class ScoringTimeout(BaseException):
    """run() passed its limit. Not an Exception, so that a script's `except Exception` does not swallow it."""


class ScoringLimit:
    """Calls run() under a time limit of `limit_ms` milliseconds; 0 is none."""

    def __init__(self, limit_ms: int, channel: Channel) -> None:
        self._seconds = limit_ms / 1000
        self._channel = channel
        self._armed = False
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
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            return function(**arguments)
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _expired(self, signum: int, frame: Optional[Any]) -> None:
        if not self._armed:
            return  # run() had returned when the signal came
        if self._channel.writing:  # a log record is half way out; a moment later it is whole
            signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
            return
        raise ScoringTimeout(f"run() took longer than {self._seconds * 1000:.0f} ms")
