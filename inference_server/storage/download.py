"""Many files, each in parts, over a few connections at a time: into the store, each whole and checked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Condition, Event, Thread

from inference_server.settings import StorageSettings
from inference_server.storage.backoff import Backoff, wait_after
from inference_server.storage.errors import ContentError, Stopped, cannot_write
from inference_server.storage.listing import Wanted, told
from inference_server.storage.locks import LOOK_SECONDS, locked
from inference_server.storage.partial import Part, Partial
from inference_server.storage.progress import Progress
from inference_server.storage.source import Cut, Source, SourceError
from inference_server.storage.store import Blob, Store

LEAST_PART = 64 * 1024
MOST_PARTS = (
    4  # in one request: asking costs the other side, and losing a connection costs what was on its way
)
STOP_SECONDS = 0.5  # how long a stop waits for threads that hold a file; they end by themselves later


@dataclass
class _File:
    """A file on its way."""

    wanted: Wanted
    held: ExitStack  # its lock
    partial: Partial
    parts_left: int = 0
    damaged: int = 0  # how often its checksum was wrong


@dataclass
class Download:
    """One run over the files of a source. Use it once."""

    source: Source
    store: Store
    settings: StorageSettings
    progress: Progress
    stop: Event
    _state: Condition = field(default_factory=Condition)
    _ready: deque[tuple[_File, Sequence[Part]]] = field(default_factory=deque)
    _unopened: deque[Wanted] = field(default_factory=deque)
    _open: list[_File] = field(default_factory=list)
    _opening: int = 0
    _alive: int = 0
    _failure: BaseException | None = None
    _blobs: dict[str, Blob] = field(default_factory=dict)

    def run(self, files: Sequence[Wanted]) -> dict[str, Blob]:
        """Fetch the files; returns their contents by their keys.

        Raises SourceError (Changed: list again), ContentError, DestinationError, Stopped. What came stays for the
        next run.
        """
        self._unopened.extend(files)
        self._alive = max(1, self.settings.connections)
        for number in range(self._alive):
            Thread(target=self._work, name=f"fetch-{number}", daemon=True).start()
        with self._state:
            while self._alive and not (self.stop.is_set() or self._failure):
                self._state.wait(LOOK_SECONDS)
            self._state.wait_for(lambda: not self._alive, STOP_SECONDS)
            if self._failure:
                raise self._failure
            if self.stop.is_set():
                raise Stopped("stopped")
        return self._blobs

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                if isinstance(task, Wanted):
                    self._begin(task)
                else:
                    self._fetch(*task)
        except OSError as error:
            self._fail(cannot_write(self.store.root, error))
        except BaseException as error:
            self._fail(error)
        finally:
            with self._state:
                self._alive -= 1
                if not self._alive:  # nobody writes any more
                    self._leave(self._open)
                self._state.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._state:
            self._failure = self._failure or error

    def _leave(self, files: Iterable[_File]) -> None:
        for file in files:
            if file.wanted.lasting:
                file.partial.close()
            else:
                file.partial.restart()
            file.held.close()

    def _next(self) -> Wanted | tuple[_File, Sequence[Part]] | None:
        """Parts to fetch in one go, or a file to begin with; None: there is nothing left."""
        with self._state:
            while not (self._failure or self.stop.is_set()):
                if self._ready:
                    return self._ready.popleft()
                if self._unopened:
                    self._opening += 1
                    return self._unopened.popleft()
                if not (self._open or self._opening):
                    return None
                self._state.wait(LOOK_SECONDS)
        return None

    def _begin(self, wanted: Wanted) -> None:
        """Hold the file against others, and see what of it is here."""
        file = None
        held = ExitStack()
        try:
            place = self.store.part(wanted.key)
            where = told(self.source, wanted.entry)
            held.enter_context(
                locked(
                    place.with_name(f"{place.name}.lock"),
                    self.stop,
                    lambda: self.progress.say(f"{where} is being fetched by another process: waiting for it"),
                )
            )
            blob = self.store.find(wanted.key)
            if blob is not None and self.store.has(blob):
                self.progress.skip(blob.size)
                self._blobs[wanted.key] = blob
                return
            file = _File(wanted, held, self._partial(wanted))
        finally:
            with self._state:
                self._opening -= 1
                if file is not None:
                    self._open.append(file)
                self._state.notify_all()
            if file is None:
                held.close()
        self._queue(file)

    def _queue(self, file: _File) -> None:
        parts = list(file.partial.missing)
        size = file.partial.size or 0
        self.progress.skip(size - sum((part.stop or 0) - part.start for part in parts))
        file.parts_left = len(parts)
        with self._state:
            self._ready.extend((file, run) for run in _runs(parts, self.settings.connections))
            self._state.notify_all()
        if not parts:
            self._finish(file)

    def _partial(self, wanted: Wanted) -> Partial:
        size = wanted.entry.size
        part_size = max(LEAST_PART, self.settings.part_size)
        if size is not None and not self._takes_parts(wanted):
            part_size = max(LEAST_PART, size)
        checksums = ("sha256", "md5") if wanted.entry.md5 else ("sha256",)
        return Partial(self.store.part(wanted.key), size, part_size, checksums)

    def _takes_parts(self, wanted: Wanted) -> bool:
        """Whether the file may be read from the middle: without a validator, parts might be of two versions."""
        return self.source.ranged and wanted.lasting and wanted.entry.size is not None

    def _fetch(self, file: _File, parts: Sequence[Part]) -> None:
        """Have all of these parts, which lie in a row, on the disk, however often that breaks off."""
        patience = Backoff(self.settings.retries)
        left = deque(parts)
        at, stop = parts[0].start, parts[-1].stop
        while True:
            try:
                for piece in self.source.read(file.wanted.entry, at, stop):
                    count = memoryview(piece).nbytes
                    if stop is not None and at + count > stop:
                        raise SourceError(
                            f"{told(self.source, file.wanted.entry)} sent more bytes than it was asked for"
                        )
                    file.partial.write(piece, at)
                    at += count
                    self.progress.advance(count)
                    patience.got(count)
                    while left and left[0].stop is not None and at >= left[0].stop:
                        self._completed(file, left.popleft(), at)
                    if self._failure or self.stop.is_set():
                        raise Stopped("stopped")
                if stop is None:
                    self._completed(file, left.popleft(), at)
                if not left:
                    return
                raise Cut(f"{told(self.source, file.wanted.entry)} ended {(stop or 0) - at} bytes early")
            except Cut as cut:
                wait_after(cut, patience, self.progress.say, self.stop)
            if not self._takes_parts(file.wanted):
                self.progress.advance(-at)
                at = 0

    def _completed(self, file: _File, part: Part, stop: int) -> None:
        file.partial.complete(part, stop)
        with self._state:
            file.parts_left -= 1
            last = not file.parts_left
        if last:
            self._finish(file)

    def _finish(self, file: _File) -> None:
        """Check the whole, and hand it to the store."""
        entry = file.wanted.entry
        digests = file.partial.finish()
        size = file.partial.size or 0
        for name, expected in (("sha256", entry.sha256.hex()), ("md5", entry.md5.hex())):
            if expected and digests.get(name) != expected:
                self._begin_again(file, f"its {name.upper()} is {digests[name]}, not {expected}")
                return
        blob = Blob(digests["sha256"], size, entry.executable)
        self.store.adopt(file.partial.data, blob)
        if file.wanted.lasting:
            self.store.remember(file.wanted.key, blob, told(self.source, entry))
        with self._state:
            self._blobs[file.wanted.key] = blob
            self._open.remove(file)
            self._state.notify_all()
        file.held.close()

    def _begin_again(self, file: _File, why: str) -> None:
        where = told(self.source, file.wanted.entry)
        file.partial.restart()
        file.damaged += 1
        if file.damaged > 1:
            raise ContentError(
                f"{where} arrived damaged twice: {why}; upload it again, or see what changes it on its way"
            )
        self.progress.say(f"{where} arrived damaged: {why}; fetching it again")
        self.progress.advance(-(file.partial.size or 0))
        file.partial = self._partial(file.wanted)
        self._queue(file)


def _runs(parts: Sequence[Part], connections: int) -> Iterator[Sequence[Part]]:
    """The parts in runs without a gap, each for one request: long ones at first, short ones towards the end, so that
    all connections end together and little is left to be hashed then."""
    at = 0
    while at < len(parts):
        most = max(1, min(MOST_PARTS, (len(parts) - at) // (2 * connections)))
        run = [parts[at]]
        while len(run) < most and parts[at + len(run)].number == run[-1].number + 1:
            run.append(parts[at + len(run)])
        at += len(run)
        yield run
