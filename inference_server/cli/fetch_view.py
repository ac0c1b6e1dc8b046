"""What a fetch looks like: a bar and short lines on a terminal, lines of the server's form in a log."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from threading import Event, RLock, Thread
from typing import TextIO

from inference_server.cli.terminal import Terminal
from inference_server.scoring.logs import AMLLogFormatter
from inference_server.storage.progress import Progress, in_bytes, in_seconds

LOGGER = "azmlinfsrv.storage"
DRAW_SECONDS, LOG_SECONDS = 0.1, 5.0
_BAR = 24  # columns
_CLEAR = "\r\x1b[K"


class FetchView:
    """Shows one `progress`, on `stream`. Use it as a context; `say` may be called by any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._terminal = Terminal(self._stream)
        self._draws = self._terminal.redraws
        self.progress = Progress(self.say)
        self._ends = Event()
        self._lock = RLock()
        self._drawn = False
        self._log = _log(self._stream)
        self._thread = Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> FetchView:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self.clear()

    def say(self, line: str, style: str = "") -> None:
        """A line that stays."""
        with self._lock, suppress(OSError):  # nobody reads any more: no reason to stop
            self.clear()
            if self._stream.isatty():
                self._terminal.say(self._terminal.paint(line, *([style] if style else [])))
            else:
                self._log.info("%s", line)

    def _watch(self) -> None:
        while not self._ends.wait(DRAW_SECONDS if self._draws else LOG_SECONDS):
            with self._lock, suppress(OSError):
                if self.progress.active and not self._ends.is_set():
                    self._show()

    def _show(self) -> None:
        if not self._draws:
            self._log.info("%s", f"{self.progress.label}: {state(self.progress)}")
            return
        self._drawn = True
        left = self._terminal.width - 1
        text = bar(self.progress) + state(self.progress)
        label = self._terminal.paint(self.progress.label)
        room = left - len(text) - 1
        if room >= 12:
            text = (label if len(label) <= room else "…" + label[-(room - 1) :]) + " " + text
        self._stream.write(_CLEAR + text[:left])
        self._stream.flush()

    def clear(self) -> None:
        """Take the bar away, for a line of somebody else."""
        with self._lock:
            if self._drawn:
                self._drawn = False
                self._stream.write(_CLEAR)
                self._stream.flush()


def bar(progress: Progress) -> str:
    """How far it is, as a bar; "" when nobody knows how far it goes."""
    if not progress.total:
        return ""
    full = int(_BAR * min(1.0, max(0.0, progress.done / progress.total)))
    return f"[{'=' * full}{' ' * (_BAR - full)}] "


def state(progress: Progress) -> str:
    """How far it is: 45%, 460 MB of 1.07 GB, 512 MB/s, 1.2 s left."""
    rate = progress.rate()
    speed = f"{in_bytes(rate)}/s"
    if not progress.total:
        return f"{in_bytes(progress.done)}, {speed}"
    share = min(1.0, max(0.0, progress.done / progress.total))
    left = f", {in_seconds((progress.total - progress.done) / rate)} left" if rate > 0 and share < 1 else ""
    return f"{share:.0%}, {in_bytes(progress.done)} of {in_bytes(progress.total)}, {speed}{left}"


def _log(stream: TextIO) -> logging.Logger:
    logger = logging.Logger(LOGGER, logging.INFO)  # of its own: the process has no logging set up
    handler = logging.StreamHandler(stream)
    handler.setFormatter(AMLLogFormatter())
    logger.addHandler(handler)
    return logger
