"""The front's view of the page it shares with a worker: what runs, what is finished, what is recalled."""

from __future__ import annotations

import mmap
import platform

from inference_server.scoring import wire

# x86 shows one processor's writes to another in the order they were made
TOTAL_STORE_ORDER = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


class Page:
    """Reads race with a worker that writes; each method says why what it returns is right nevertheless."""

    def __init__(self, page: mmap.mmap) -> None:
        self._page = page
        self._seen = (0, 0)
        self._cells = memoryview(page)[: wire.LEFT].cast("Q")
        self._left = memoryview(page)[wire.LEFT : wire.LEFT + wire.LEFT_SLOTS]

    @property
    def mark(self) -> int:
        """Seq of the request last taken in hand; it only grows."""
        return self._cells[wire.MARK]

    def running(self) -> tuple[int, float, float]:
        """Seq last taken, when it was taken, when its run() began (0: not yet), in monotonic seconds.

        The worker sets the mark last, so a time that does not belong to the mark is a later one: what is held
        against a limit by it gets a little more time, never less.
        """
        cells = self._cells
        return cells[wire.MARK], cells[wire.TAKEN] * 1e-9, cells[wire.BEGAN] * 1e-9

    def recall(self, seq: int) -> None:
        """Ask the worker not to start `seq` or a later one; 0: it may start all."""
        self._cells[wire.WITHDRAW] = seq

    # ------------------------------------------------------------ of a worker that batches

    @property
    def alone(self) -> int:
        """Seq of the request whose run() call it has to itself, 0 for none; it may have been answered since."""
        return self._cells[wire.ALONE]

    @property
    def checking(self) -> bool:
        """Whether run() is being called to compare answers, for nobody's request."""
        return self._cells[wire.CHECKING] != 0

    def left(self, seq: int) -> None:
        """The caller of `seq` is gone: it need not be run."""
        self._left[seq % wire.LEFT_SLOTS] = 1

    def wanted(self, seq: int) -> None:
        """The caller of `seq` waits; to be said before it is sent, since the place was another's before."""
        self._left[seq % wire.LEFT_SLOTS] = 0

    # ------------------------------------------------------------ answers that were not sent

    def unsent(self, received: int, settled: bool = False) -> bytes:
        """Finished records in the outbox, when `received` bytes of the worker's stream have come in; else b"".

        The worker counts what it sent after it has emptied the outbox and before it fills it anew. So the copy
        is whole when both counts are what they were before it was made. On a processor that may show the counts
        before the bytes they count, it must see the same counts twice, unless the worker is gone (`settled`).
        """
        cells = self._cells
        sent, filled = cells[wire.SENT], cells[wire.FILLED]
        at = received - sent
        if not 0 <= at < filled <= wire.OUTBOX_BYTES:
            return b""  # nothing there, or it is on its way through the socket
        if not (TOTAL_STORE_ORDER or (sent, filled) == self._seen or settled):
            self._seen = (sent, filled)  # written long ago when it is the same at the next look
            return b""
        data = self._page[wire.OUTBOX + at : wire.OUTBOX + filled]
        if cells[wire.FILLED] < filled or cells[wire.SENT] != sent:
            return b""
        return data
