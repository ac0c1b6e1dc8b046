"""The one event loop of a worker's life: `async def` scripts and async generators are awaited on it.

One loop for all requests, so that what a script opens in init() (an HTTP client, a connection pool) works in
run(). It is made when the first coroutine comes; a worker whose script has none never imports asyncio.
"""

from __future__ import annotations

import inspect
import os
import threading
from typing import TYPE_CHECKING, Any, AsyncIterator, Awaitable, Iterator, List, Optional

if TYPE_CHECKING:
    import asyncio

CANCEL_SECONDS = 1.0  # how long an interrupted coroutine may take to clean up

_loop: Optional[asyncio.AbstractEventLoop] = None
_threaded = False  # the loop runs in a thread of its own, since several threads call run()
_making = threading.Lock()
_left_behind: List[asyncio.AbstractEventLoop] = []


def use_thread() -> None:
    """Have the loop run in a thread of its own, so that several threads may wait on it at a time."""
    global _threaded
    _threaded = True


def in_use() -> bool:
    """Whether something was awaited already, so that the loop may hold what a script has opened."""
    return _loop is not None


def wait(awaitable: Awaitable[Any]) -> Any:
    """The result of `awaitable`; raises what it raises. For a thread that runs no loop itself."""
    import asyncio

    loop = _the_loop()
    if _threaded:
        return asyncio.run_coroutine_threadsafe(_as_coroutine(awaitable), loop).result()
    task = asyncio.ensure_future(awaitable, loop=loop)
    try:
        return loop.run_until_complete(task)
    except BaseException:
        # Interrupted from outside (the scoring timeout): what is left must not go on beside the next request.
        if not task.done():
            task.cancel()
            loop.run_until_complete(asyncio.wait([task], timeout=CANCEL_SECONDS))
        raise


def iterate(source: AsyncIterator[Any]) -> Iterator[Any]:
    """An async iterator as a plain one; closing it closes `source`."""
    try:
        while True:
            try:
                item = wait(source.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            wait(close())


def returns_unfinished(function: Any) -> bool:
    """Whether calling `function` may only begin its work: it, what it wraps, or its `__call__` is a coroutine
    function, a generator function or both."""
    unwrapped = inspect.unwrap(function)
    call = getattr(type(unwrapped), "__call__", None)  # noqa: B004 - the method itself is looked at
    tests = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(test(candidate) for test in tests for candidate in (unwrapped, call))


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _the_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _making:
        if _loop is None:
            import asyncio

            _loop = asyncio.new_event_loop()
            if _threaded:
                threading.Thread(target=_loop.run_forever, name="coroutines", daemon=True).start()
        return _loop


def _after_fork() -> None:
    """A forked child makes a loop of its own: the parent's selector is shared with the parent. The old loop is
    kept, since closing it here would unregister the parent's descriptors."""
    global _loop, _making
    _making = threading.Lock()
    if _loop is not None:
        _left_behind.append(_loop)
        _loop = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
