"""Writes what is to be kept from a thread of its own. Whoever hands it over never waits."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic

from inference_server import fields
from inference_server.recording.document import FAILED, GOOD
from inference_server.recording.folder import Folder
from inference_server.recording.making import Maker, Taken
from inference_server.recording.redaction import Redaction
from inference_server.settings import RecordingSettings

WAITING = 256  # requests that may wait to be written
WAITING_BYTES = 64 * 1024 * 1024  # of their bodies
MOST_A_SECOND = 50  # of those that failed, and as many of the others: writing takes time from serving
RETRY_SECONDS = 30.0  # while the folder cannot be written
SAY_SECONDS = 60.0  # between two lines about requests that were not kept
DROPPED, UNWRITTEN = "dropped", "unwritten"
OUTCOMES = (FAILED, GOOD, DROPPED, UNWRITTEN)

logger = logging.getLogger("azmlinfsrv")


class Recorder:
    """One folder's writer. `offer` and `counts` are for the event loop's thread; nothing here raises."""

    def __init__(self, folder: Folder, maker: Maker, clock: Callable[[], float] = monotonic) -> None:
        self._folder = folder
        self._maker = maker
        self._clock = clock
        self._queue: SimpleQueue[Taken | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._second = 0
        self._this_second = {True: 0, False: 0}
        # Each of these is changed by one thread alone: offered and dropped by whoever offers, the others by the writer.
        self._offered_bytes = self._written_bytes = 0
        self._dropped = 0
        self._done: Counter[str] = Counter()
        self._broken_at: float | None = None  # when the folder could not be written
        self._odd = False  # a request could not be made a document: said once
        self._said_dropped = 0
        self._said_at = -SAY_SECONDS

    def open(self) -> None:
        """Make the folder, so that the log says at once when that is not possible."""
        self._start()

    def offer(self, taken: Taken) -> None:
        """Keep it if there is room for it to wait; else it is dropped, and counted."""
        second = int(taken.when)
        if second != self._second:
            self._second, self._this_second = second, {True: 0, False: 0}
        size = _size(taken)
        waiting = self._offered_bytes - self._written_bytes
        if (
            self._this_second[taken.failed] >= MOST_A_SECOND
            or self._queue.qsize() >= WAITING
            or waiting + size > WAITING_BYTES
        ):
            self._dropped += 1
            return
        self._this_second[taken.failed] += 1
        self._offered_bytes += size
        self._queue.put(taken)
        if self._thread is None:
            self._start()

    def counts(self) -> dict[str, int]:
        """How many were kept, by kind, dropped because they came too fast, and could not be written."""
        done = self._done
        return {**{kind: done[kind] for kind in (FAILED, GOOD, UNWRITTEN)}, DROPPED: self._dropped}

    def close(self, seconds: float) -> None:
        """Write what waits, for at most so long."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(seconds)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._write_all, name="recording", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread can be started now: the next one tries again
            self._thread = None

    def _write_all(self) -> None:
        """The thread."""
        self._tried(self._folder.open)
        while True:
            try:
                taken = self._queue.get(timeout=SAY_SECONDS)
            except Empty:
                self._say_dropped()
                continue
            if taken is None:
                self._say_dropped(last=True)
                return
            self._write(taken)
            self._written_bytes += _size(taken)
            self._say_dropped()

    def _write(self, taken: Taken) -> None:
        if self._broken_at is not None and self._clock() - self._broken_at < RETRY_SECONDS:
            self._done[UNWRITTEN] += 1
            return
        self._tried(lambda: self._keep(taken))

    def _keep(self, taken: Taken) -> None:
        try:
            name, data = self._maker.made(taken)
        except Exception as error:  # whatever a request may hold: the next one is kept
            self._done[UNWRITTEN] += 1
            if not self._odd:
                self._odd = True
                logger.warning("A request could not be recorded", exc_info=error)
            return
        try:
            if self._folder.put(name, data):
                self._done[FAILED if taken.failed else GOOD] += 1
        except OSError:
            self._done[UNWRITTEN] += 1
            raise

    def _tried(self, work: Callable[[], None]) -> None:
        """Do what needs the folder; the log says once when it stops working, and when it works again."""
        try:
            work()
        except OSError as error:
            if self._broken_at is None:
                why = error.strerror or str(error)
                logger.warning(
                    "Requests cannot be recorded in %s: %s. Serving goes on", self._folder.path, why
                )
            self._broken_at = self._clock()
        else:
            if self._broken_at is not None:
                self._broken_at = None
                logger.info("Requests are recorded in %s again", self._folder.path)

    def _say_dropped(self, last: bool = False) -> None:
        count = self._dropped - self._said_dropped
        if count and (last or self._clock() - self._said_at >= SAY_SECONDS):
            self._said_dropped, self._said_at = self._dropped, self._clock()
            logger.warning(
                "%d request(s) were not recorded: they came faster than they may be written", count
            )


def open_recorder(settings: RecordingSettings, script: str, model_dir: str) -> Recorder:
    """The recorder that `settings` ask for, at work."""
    folder = Folder(settings.record, settings.record_limit, settings.record_files)
    redaction = Redaction(fields.parse(settings.record_redact))
    model = os.path.abspath(model_dir) if model_dir else ""
    recorder = Recorder(folder, Maker(redaction, settings.record_body_limit, script, model))
    recorder.open()
    return recorder


def _size(taken: Taken) -> int:
    return taken.request.body_bytes + len(taken.answer.body)
