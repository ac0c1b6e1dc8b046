"""A streamed answer in the front: chunks come in as the reader grants credit."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from inference_server.scoring import wire

# kind (CREDIT or CLOSE), seq, count
Control = Callable[[int, int, int], None]


class Stream:
    """Chunks that arrive before a reader has attached wait; there are at most wire.STREAM_CREDIT bytes."""

    def __init__(self, seq: int, control: Control) -> None:
        self._seq = seq
        self._control = control
        self._early: list[bytes] = []
        self._complete: bool | None = None
        self._on_chunk: Callable[[bytes], None] | None = None
        self._on_end: Callable[[bool], None] | None = None
        self._closed = False
        self._ahead = 0  # bytes that came and were not granted anew
        self.progress = monotonic()  # when something came last, or was granted
        self.left_at = 0.0  # when its reader left, monotonic seconds; 0: it is there

    @property
    def broken(self) -> bool:
        """See messages.AnswerStream."""
        return self._complete is False and not self._closed

    @property
    def waits_for_reader(self) -> bool:
        """Whether it is the reader that holds it up, not the generator."""
        return not self._closed and self._ahead >= wire.STREAM_CREDIT

    def attach(self, on_chunk: Callable[[bytes], None], on_end: Callable[[bool], None]) -> None:
        """Start the flow; see messages.AnswerStream."""
        self._on_chunk = on_chunk
        self._on_end = on_end
        for chunk in self._early:
            on_chunk(chunk)
        self._early = []
        if self._complete is not None:
            on_end(self._complete)

    def grant(self, count: int) -> None:
        self._ahead -= count
        self.progress = monotonic()
        if self._complete is None and not self._closed:
            self._control(wire.CREDIT, self._seq, count)

    def close(self) -> None:
        """The reader has left: what still comes is dropped, the worker closes its generator."""
        if not self._closed:
            self._closed = True
            self.left_at = monotonic()
            self._early = []
            if self._complete is None:
                self._control(wire.CLOSE, self._seq, 0)

    def chunk(self, data: bytes) -> None:
        """From the worker."""
        self._ahead += len(data)
        self.progress = monotonic()
        if self._closed:
            return
        if self._on_chunk is None:
            self._early.append(data)
        else:
            self._on_chunk(data)

    def end(self, complete: bool) -> None:
        """From the worker, or because it died."""
        self._complete = complete
        if not self._closed and self._on_end is not None:
            self._on_end(complete)
