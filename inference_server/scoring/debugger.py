"""AZUREML_DEBUG_PORT: the script runs under the debugger that listens there, from its first line on."""

from __future__ import annotations

import logging

from inference_server.scoring.errors import UserScriptError

logger = logging.getLogger("azmlinfsrv")


def attach(port: int) -> None:
    """Connect to the debugger on this machine's `port` and wait until it lets go.

    Raises UserScriptError, with one line that says what to do, when there is no debugpy or nobody listens.
    """
    try:
        import debugpy
    except ImportError as error:
        raise UserScriptError(
            "AZUREML_DEBUG_PORT is set, but debugpy is not installed where the script runs: "
            "pip install 'azmlinfsrv[dev]', or unset AZUREML_DEBUG_PORT"
        ) from error
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
