"""The life of the front inside its process: one event loop, signals, an exit code."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Protocol

from inference_server.settings import Settings


class Front(Protocol):
    """What a supervisor needs of the front."""

    first: bool  # False, set before `serve`: it takes the place of one that died

    async def serve(self) -> int:
        """Serve until stopped. 0: stopped as asked; 3: the script could not be started for the first time."""

    def stop(self, now: bool = False) -> None:
        """Finish what was accepted and end; `now`: end at once."""

    def reload(self) -> None:
        """Replace all workers, one after the other."""

    def scale(self, by: int) -> None:
        """Add workers, or take some away."""

    def reopen_logs(self) -> None:
        """Open log files anew, after they were moved."""


# Settings, listening sockets (the one for health first when it is separate), what to call every second.
FrontFactory = Callable[[Settings, list[socket.socket], Callable[[], None] | None], Front]


def live(front: Front, on_signal: Mapping[signal.Signals, Callable[[], None]]) -> int:
    """Run the front to its end in a loop of its own, on uvloop where that is installed; returns its exit code."""
    loop = _new_loop()
    try:
        asyncio.set_event_loop(loop)
        for number, action in on_signal.items():
            _handle(loop, number, action)
        return loop.run_until_complete(front.serve())
    finally:
        _finish(loop)


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop()  # the default there cannot watch the workers' sockets
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _handle(loop: asyncio.AbstractEventLoop, number: signal.Signals, action: Callable[[], None]) -> None:
    """Have the loop call `action` for a signal."""
    if sys.platform == "win32":
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(action))
    else:
        loop.add_signal_handler(number, action)


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """End what still runs in the loop, then close it."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()
