"""From flags, the environment and the configuration file to `Settings`; the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inference_server.settings import config_file
from inference_server.settings.config_file import ConfigFile
from inference_server.settings.declare import BAD_VALUE_EXIT, Declared
from inference_server.settings.groups import LOG_LEVELS
from inference_server.settings.problems import BadSettings, block
from inference_server.settings.record import DECLARED, SECTIONS, Settings

_KEY_SHAPE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
KEY_ACCEPTED = ("Valid Application Insights instrumentation key provided.",)
NO_DEVICE = "cuda asks for CUDA devices, but this process sees none: use cpu, or leave --devices out"
THREADS_BATCH = (
    "a worker that runs requests together runs one batch at a time: leave out threads or max_batch_size"
)
NOT_PINNED = (
    "WORKER_PRELOAD forks all workers from one process: --devices shows every device to every worker."
)
NOT_CONNECTED = (
    "AZUREML_DEBUG_PORT is left aside: with --debug the editor connects to the server, not the reverse."
)
NOT_FORKED = "WORKER_PRELOAD is left aside: a debugger does not survive the fork of a worker."
KEY_REFUSED = (
    "Invalid Application Insights instrumentation key provided.",
    "Application Insights has been disabled.",
)


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings: a flag wins over a variable, that over the configuration file, that over the default.

    `flags` holds values by the names of `Declared.key`, already read. `environ` is the process's own unless given.
    Raises BadSettings, which names every value that cannot be read.
    """
    environ = os.environ if environ is None else environ
    reader = _Reader(flags or {}, environ)
    app_root = os.path.abspath(reader.value("script.app_root"))
    named = reader.value("script.config_file")
    script = reader.value("script.entry_script")
    found = config_file.find(named, app_root, os.path.join(app_root, script) if script else None)
    reader.file = config_file.load(found, (name for declared in DECLARED.values() for name in declared.env))
    groups = {section: group(**reader.section(section)) for section, group in SECTIONS.items()}
    if reader.problems:
        raise BadSettings(
            [text for _, text in reader.problems], min(exit_code for exit_code, _ in reader.problems)
        )
    settings = Settings(**groups, given=reader.given, environment=environ, config_path=found)
    if named and not os.path.exists(named):
        settings = settings.noting(f"The config file {named} does not exist; it is ignored.")
    return _checked(settings)


class _Reader:
    """Finds the value of one setting after another, and keeps what went wrong."""

    def __init__(self, flags: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.flags = flags
        self.environ = environ
        self.any_case = {name.upper(): name for name in environ}
        self.file = ConfigFile()
        self.given: dict[str, str] = {}  # where a value that is not the default came from
        self.problems: list[tuple[int, str]] = []  # exit code, text

    def section(self, section: str) -> dict[str, Any]:
        return {item.name: self.value(key) for key, item in DECLARED.items() if item.section == section}

    def value(self, key: str) -> Any:
        if self.flags.get(key) is not None:
            self.given[key] = "flag"
            return self.flags[key]
        declared = DECLARED[key]
        for name in declared.env:
            actual = name if name in self.environ else self.any_case.get(name.upper())
            if actual and self.environ[actual]:
                return self._read(declared, name, self.environ[actual], "environment variable")
        for name in declared.env:
            if self.file.values.get(name):
                return self._read(declared, name, self.file.values[name], "config file")
        return declared.default

    def _read(self, declared: Declared, name: str, text: str, source: str) -> Any:
        self.given[declared.key] = source
        try:
            return declared.read(text)
        except ValueError as error:
            unit = f", in {declared.unit}" if declared.unit else ""
            where = (
                f"{source}: {name}"
                if source != "config file"
                else f"config file: {self.file.path}, key: {name}"
            )
            problem = (declared.exit_code, block(name, f"{error}{unit}", where))
            if problem not in self.problems:
                self.problems.append(problem)
            return declared.default


def _checked(settings: Settings) -> Settings:
    """Settle what depends on more than one value."""
    script = settings.script
    changes: dict[str, Any] = {"script.app_root": os.path.abspath(script.app_root)}
    word = settings.telemetry.log_level.strip().upper()
    if word not in LOG_LEVELS and not word.isdigit():
        settings = settings.noting(
            f"AZUREML_LOG_LEVEL {settings.telemetry.log_level!r} is not one of {', '.join(LOG_LEVELS)}; INFO is used."
        )
    enabled = (
        settings.telemetry.app_insights_enabled or settings.given.get("telemetry.app_insights_key") == "flag"
    )
    key = settings.telemetry.app_insights_key
    valid = bool(_KEY_SHAPE.fullmatch(key))
    changes["telemetry.app_insights_enabled"] = enabled and valid
    if settings.environments.python_environment and not settings.environments.definition:
        changes["workers.python"] = settings.environments.python_environment  # it is there already
    devices = settings.devices
    if settings.batch.devices == "cuda" and not devices:
        raise BadSettings([block("devices", NO_DEVICE, settings.given["batch.devices"])], BAD_VALUE_EXIT)
    if devices and settings.batch.devices != "cpu" and "workers.worker_count" not in settings.given:
        changes["workers.worker_count"] = len(devices)
    if len(devices) > 1 and settings.workers.preload:
        settings = settings.noting(NOT_PINNED)
    if settings.batch.rows > 1 and settings.workers.threads > 1:
        source = settings.given.get("workers.threads", "")
        raise BadSettings([block("threads", THREADS_BATCH, source)], BAD_VALUE_EXIT)
    settings = _for_debugger(settings.changed(changes))
    if enabled and key:
        settings = replace(settings, key_lines=KEY_ACCEPTED if valid else KEY_REFUSED)
    return settings


def _for_debugger(settings: Settings) -> Settings:
    """Under a debugger one worker runs one request at a time, unless the flags say otherwise, and no time limit holds:
    a call stands still for as long as a person thinks."""
    listens = settings.develop.debugs
    if not listens and not settings.script.debug_port:
        return settings
    changes: dict[str, Any] = {
        "script.scoring_timeout_ms": 0,
        "workers.worker_timeout": 0,
        "workers.boot_timeout": 0.0,
        "queue.request_timeout_ms": 0,
        "batch.max_queue_wait_ms": 0,
    }
    if listens:
        if settings.given.get("workers.worker_count") != "flag":
            changes["workers.worker_count"] = 1
        if settings.given.get("batch.max_batch_size") != "flag":
            changes["batch.max_batch_size"] = 1
        if settings.script.debug_port:
            changes["script.debug_port"] = None
            settings = settings.noting(NOT_CONNECTED)
    if settings.workers.preload:
        changes["workers.preload"] = False
        settings = settings.noting(NOT_FORKED)
    return settings.changed(changes)
