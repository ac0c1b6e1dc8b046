"""`azmlinfsrv --entry_script score.py`: read the settings, say them, start the server."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from inference_server.cli.flags import parse
from inference_server.cli.start_lines import start_lines
from inference_server.errors import SettingsError, StartError
from inference_server.settings import BadSettings, load
from inference_server.telemetry import logs

_NOTHING_TO_SERVE = (
    "Error!",
    "Either provide an entry_script using --entry_script or provide a path to the configuration file using "
    "--config_file",
)
_NO_WATCHFILES = (
    "--reload needs watchfiles where the server runs: pip install 'azmlinfsrv[dev]', or leave it out and use "
    "azmlinfsrv reload"
)

log = logging.getLogger("azmlinfsrv")


def serve(words: Sequence[str]) -> int:
    """Run the server until it is stopped; returns the exit code.

    1: the command line is wrong, or nothing to serve was named · 3: a setting cannot be read, or the script cannot
    be started (1 for WORKER_COUNT, 2 for WORKER_TIMEOUT, as scripts around the server expect it) · 0: stopped.
    """
    try:
        flags = parse(words)
    except SystemExit as end:
        return int(end.code or 0)
    if "script.entry_script" not in flags and "script.config_file" not in flags:
        logs.setup(None, "INFO")
        for line in _NOTHING_TO_SERVE:
            log.error(line)
        return 1
    try:
        settings = load(flags)
        logs.setup(settings.logging_config, settings.telemetry.level)
    except SettingsError as error:
        logs.setup(None, "INFO")
        for text in error.report if isinstance(error, BadSettings) else [str(error)]:
            log.critical(text)
        return error.exit_code
    if settings.develop.reload and find_spec("watchfiles") is None:
        log.critical(_NO_WATCHFILES)
        return StartError.exit_code
    if settings.logging_config:
        log.info("Loaded logging config from %s", settings.logging_config)

    from inference_server import supervisor

    chosen = supervisor.choose(settings)
    for line in start_lines(chosen.settings):
        print(line)
    sys.stdout.flush()  # before log lines, which are not buffered, and before any fork
    for note in chosen.settings.notes:
        log.warning(note)
    return chosen.run()
