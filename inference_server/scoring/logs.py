"""The log of a worker: the line format, the streams it goes to, and print() as a log record.

The front uses the formatter and the filter of this file too, so a line looks the same wherever it was written.

    2026-01-31 09:15:02,417 I [4711] azmlinfsrv.print - hello

is date and time in UTC, the first letter of the level, the process, the logger and the message. Unless a
`logging.json` says otherwise, `azmlinfsrv` and its children go to standard output and every other logger
(the script's own, its libraries') to standard error, all at AZUREML_LOG_LEVEL.
"""

from __future__ import annotations

import builtins
import logging
import os
import re
import select
import sys
import time
from typing import Any, Callable, Dict, Optional

from inference_server.scoring import logconfig, records
from inference_server.scoring.config import ScoringConfig

LINE = "%(asctime)s %(levelname).1s [%(process)d] %(name)s - %(message)s"
SERVER = "azmlinfsrv"
PRINT = "azmlinfsrv.print"
HEALTH_PROBE = "GET / HTTP/1.1"
PATIENCE_SECONDS = 5.0  # for a reader of a non-blocking standard stream to make room

# C0, DEL, C1 and the two Unicode line separators; a tab and a line break stay what they are.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def escape_controls(text: str) -> str:
    r"""`text` with its control characters written as escapes (`\x1b`); tab and line break are kept."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


class AMLLogFormatter(logging.Formatter):
    """Azure ML's line format, in UTC. A logging.json may name it, with a `format` of its own or without.

    Whatever a message carries, a line never holds a raw control character: what a caller sent can neither
    move a terminal's cursor nor hide text. Line breaks stay, since tracebacks and printed tables have them.
    """

    converter = time.gmtime  # type: ignore[assignment]

    def __init__(
        self,
        fmt: Optional[str] = None,
        datefmt: Optional[str] = None,
        style: str = "%",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if fmt is None:
            fmt, style = LINE, "%"
        super().__init__(fmt, datefmt, style, *args, **kwargs)  # type: ignore[arg-type]
        self._second = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        return escape_controls(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: Optional[str] = None) -> str:
        if datefmt:
            return super().formatTime(record, datefmt)
        second, text = self._second
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            self._second = (second, text)  # one assignment: threads may race, none sees a mix
        return f"{text},{int(record.msecs):03d}"


class RootAccessFilter(logging.Filter):
    """Keeps access lines of the health route `/` out of the log: probes come every few seconds."""

    def filter(self, record: logging.LogRecord) -> bool:
        return HEALTH_PROBE not in record.getMessage()


class LogStream:
    """Text to a private duplicate of a descriptor: a script that closes stdout does not silence the server.

    A write never raises: a log that nobody reads any more is no reason to fail a request.
    """

    def __init__(self, fd: int) -> None:
        try:
            self._fd = os.dup(fd)
        except OSError:
            self._fd = -1  # the process was started without this stream

    def write(self, text: str) -> None:
        if self._fd < 0:
            return
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:  # whoever started us made the pipe non-blocking
                    if not self._wait():
                        return
        except OSError:
            pass

    def _wait(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(PATIENCE_SECONDS * 1000))

    def flush(self) -> None:
        """Nothing is kept back."""


def level_number(level: str) -> int:
    """The number of a level given by name (any case) or number. Raises ValueError for an unknown name."""
    text = level.strip().upper()
    if text.isdigit():
        return int(text)
    number = logging.getLevelName(text)
    if not isinstance(number, int):
        raise ValueError(f"{level!r} is not a log level: use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return number


def setup(config: ScoringConfig, forward: Optional[Callable[[Dict[str, Any]], None]] = None) -> None:
    """Set up logging in a worker.

    `config.logging_config` names a logging.json that replaces the default; raises
    `logconfig.LoggingConfigError` (one line) when it cannot be used, ValueError for an unknown level.
    With `forward`, what Application Insights shows as traces is also handed to it, as `records` describes.
    """
    level = level_number(config.log_level)
    stdout, stderr = LogStream(1), LogStream(2)
    logconfig.reset(SERVER)
    if config.logging_config:
        logconfig.apply(config.logging_config, logconfig.read(config.logging_config), stdout, stderr)
        logconfig.wake((SERVER,), level)
    else:
        _default(level, stdout, stderr)
    if forward is not None:
        handler = records.ForwardHandler(forward)
        for name in records.TRACED:
            logging.getLogger(name).addHandler(handler)


def _default(level: int, stdout: LogStream, stderr: LogStream) -> None:
    server = logging.getLogger(SERVER)
    server.addHandler(_handler(stdout))
    server.setLevel(level)
    server.propagate = False
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    ours = _handler(stderr)
    root.addHandler(ours)
    root.setLevel(level)
    _give_way_to_basic_config(ours)


def _handler(stream: LogStream) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(AMLLogFormatter())
    return handler


def _give_way_to_basic_config(ours: logging.Handler) -> None:
    """A script's own `logging.basicConfig(level=…)` would do nothing while root has a handler: ours leaves."""
    original = logging.basicConfig

    def basic_config(**kwargs: Any) -> None:
        if kwargs:
            logging.getLogger().removeHandler(ours)
        original(**kwargs)

    logging.basicConfig = basic_config


def hook_print() -> None:
    """From now on print() to standard output is an INFO record of `azmlinfsrv.print`.

    The values are joined by `sep`; `end` and `flush` mean nothing; text of many lines stays one record.
    print(file=…) to anything else, and print() while the script has sys.stdout redirected, are untouched,
    and so is sys.stdout.write().
    """
    original = builtins.print
    stdout = sys.stdout
    info = logging.getLogger(PRINT).info

    def print(
        *values: object,
        sep: Optional[str] = " ",
        end: Optional[str] = "\n",
        file: Any = None,
        flush: bool = False,
    ) -> None:
        target = sys.stdout if file is None else file
        if target is not stdout or not (sep is None or isinstance(sep, str)):
            original(*values, sep=sep, end=end, file=file, flush=flush)
            return
        info((" " if sep is None else sep).join(map(str, values)))

    builtins.print = print
