"""The script under a debugger, debugpy, from its first line on.

--debug             debugpy listens, and editors attach through the front
AZUREML_DEBUG_PORT  the reverse: an editor's debugger listens, and the worker connects to it
replay --break      debugpy listens where it is told, and holds run() at its first line
"""

from __future__ import annotations

import dis
import inspect
import logging
import threading
from types import ModuleType
from typing import Any, Callable, Optional, Sequence, Tuple

from inference_server.scoring.config import FOR_EVER
from inference_server.scoring.errors import UserScriptError

logger = logging.getLogger("azmlinfsrv")


def listen(host: str = "127.0.0.1", port: int = 0, asked: str = "--debug") -> int:
    """Have debugpy listen, on a free port of the loopback unless told where; returns the port. `asked`: the flag that
    wants it.

    Raises UserScriptError, with one line that says what to do, when there is no debugpy or it does not start.
    """
    debugpy = _debugpy(f"{asked} is given", f"leave out {asked}")
    try:
        _, port = debugpy.listen((host, port))
    except (OSError, RuntimeError) as error:
        other = "choose another port with --debug_port" if port else "Try again"
        raise UserScriptError(
            f"The debugger did not start: {error}. {other}, or leave out {asked}"
        ) from error
    return int(port)


def wait(seconds: float) -> None:
    """Until an editor has attached and set its breakpoints, for at most `seconds`, or FOR_EVER. After `listen`."""
    import debugpy

    if debugpy.is_client_connected() or not seconds:
        return
    timer = None
    if seconds != FOR_EVER:
        timer = threading.Timer(seconds, lambda: debugpy.wait_for_client.cancel())
        timer.daemon = True
        timer.start()
    debugpy.wait_for_client()
    if timer is not None:
        timer.cancel()


def connect(port: int) -> None:
    """Connect to the debugger on this machine's `port` and wait until it lets go.

    Raises UserScriptError, with one line that says what to do, when there is no debugpy or nobody listens.
    """
    debugpy = _debugpy("AZUREML_DEBUG_PORT is set", "unset AZUREML_DEBUG_PORT")
    logger.warning("!! Connecting to the debugger on port %d (AZUREML_DEBUG_PORT).", port)
    logger.warning("!! The script is not loaded before the debugger says continue. Not for production.")
    try:
        debugpy.connect(("127.0.0.1", port))
    except (OSError, RuntimeError) as error:
        raise UserScriptError(
            f"No debugger listens on port {port} (AZUREML_DEBUG_PORT): {error}. "
            "Start the one of your editor first, or unset AZUREML_DEBUG_PORT"
        ) from error
    debugpy.wait_for_client()


def stop_in(function: Callable[..., Any], places: Sequence[Tuple[str, int]] = ()) -> bool:
    """Have the editor that is attached stop at the first line of `function`, and at these lines of files, as if it had
    breakpoints there. False: the function's lines are not known, or debugpy has changed too much; see `hold`.

    To be called before each call: an editor that sets its own breakpoints of a file takes these away.
    """
    first = _first_line(function)
    if first is None:
        return False
    try:
        import pydevd_file_utils
        from _pydevd_bundle.pydevd_api import PyDevdAPI
        from pydevd import get_global_debugger

        debugger, api = get_global_debugger(), PyDevdAPI()
        policy = "ALL" if debugger.multi_threads_single_notification else "NONE"
        # the first time only: it may be the line of a loop
        about = (None, "None", None, policy, "@HIT@ == 1", None)
        for number, (file, line) in enumerate(dict.fromkeys([first, *places])):
            name = pydevd_file_utils.map_file_to_client(file)[0]
            api.add_breakpoint(debugger, name, "python-line", _OURS - number, line, *about)
    except Exception as error:  # of the debugger's own parts, which no promise covers
        logger.debug("Breakpoints cannot be set: %s", error)
        return False
    return True


def hold() -> None:
    """Stop where this is called, for an editor that steps into what comes next."""
    import debugpy

    debugpy.breakpoint()


_OURS = -1  # the numbers of our breakpoints go down from here, those of editors up


def _first_line(function: Callable[..., Any]) -> Optional[Tuple[str, int]]:
    """File and number of the line that a call runs first, below a decorator and the signature."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    lines = [line for _, line in dis.findlinestarts(code) if line is not None]
    below = [line for line in lines if line != code.co_firstlineno]
    return code.co_filename, (below or lines)[0]


def _debugpy(asked: str, otherwise: str) -> ModuleType:
    try:
        import debugpy
    except ImportError as error:
        raise UserScriptError(
            f"{asked}, but debugpy is not installed where the script runs: "
            f"pip install 'azmlinfsrv[dev]', or {otherwise}"
        ) from error
    module: ModuleType = debugpy
    return module
