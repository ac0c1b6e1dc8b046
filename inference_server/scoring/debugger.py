"""The script under a debugger, debugpy, from its first line on.

--debug             debugpy listens, and editors attach through the front
AZUREML_DEBUG_PORT  the reverse: an editor's debugger listens, and the worker connects to it
"""

from __future__ import annotations

import logging
import threading
from types import ModuleType

from inference_server.scoring.config import FOR_EVER
from inference_server.scoring.errors import UserScriptError

logger = logging.getLogger("azmlinfsrv")


def listen() -> int:
    """Have debugpy listen on a free port of the loopback; returns the port.

    Raises UserScriptError, with one line that says what to do, when there is no debugpy or it does not start.
    """
    debugpy = _debugpy("--debug is given", "leave out --debug")
    try:
        _, port = debugpy.listen(("127.0.0.1", 0))
    except (OSError, RuntimeError) as error:
        raise UserScriptError(
            f"The debugger did not start: {error}. Try again, or leave out --debug"
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
