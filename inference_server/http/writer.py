"""A streamed answer on its way out: written as the client takes it, never more than a credit ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from inference_server.http import answers
from inference_server.messages import Answer, AnswerStream
from inference_server.scoring.wire import STREAM_CREDIT

GRANT_BYTES = STREAM_CREDIT // 4  # small grants would cost a record each


class StreamWriter:
    """Chunks from the worker go to the transport; what the client has taken is granted to the worker anew.

    `over(writer, complete)` is called once, when the stream has ended or broken; not after `client_left`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        stream: AnswerStream,
        chunked: bool,
        over: Callable[[StreamWriter, bool], None],
    ) -> None:
        self.sent = 0  # bytes of the body
        self.written = 0  # the same with their framing
        self.head_bytes = 0
        self._out: list[bytes] = []  # of this turn of the loop: one write for many small chunks
        self.answer: Answer
        self.began: float  # when the answer came, monotonic seconds
        self._loop = loop
        self._transport = transport
        self._stream = stream
        self._chunked = chunked
        self._over = over
        self._held = 0  # bytes that the client took, or will before more is granted
        self._left = False
        self._paused = False
        self._done = False

    def begin(self, answer: Answer, head: bytes, discard: bool) -> None:
        """Write the head and what follows. `discard`: this answer has no body (HEAD); the stream is closed."""
        self.answer = answer
        self.head_bytes = len(head)
        self._put(head)
        if discard:
            self._stream.close()
            self._end(True)
        else:
            self._stream.attach(self._chunk, self._end)

    def _chunk(self, data: bytes) -> None:
        framed = answers.chunk(data) if self._chunked else data
        self.sent += len(data)
        self.written += len(framed)
        self._held += len(data)
        self._put(framed)

    def _put(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._write)
        self._out.append(data)

    def _write(self) -> None:
        """Write what this turn of the loop has brought, and let the worker go on by as much."""
        if self._out and not self._left:
            data = b"".join(self._out)
            self._out.clear()
            self._transport.write(data)
        if self._held >= GRANT_BYTES and not self._paused:
            self._grant()

    def _grant(self) -> None:
        held, self._held = self._held, 0
        self._stream.grant(held)

    def _end(self, complete: bool) -> None:
        if self._done:
            return
        self._done = True
        if complete and self._chunked:
            self._out.append(answers.LAST_CHUNK)
        self._write()
        self._over(self, complete)

    def pause(self) -> None:
        """The client does not take what is written: grant nothing more."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._held:
            self._grant()

    def client_left(self) -> None:
        self._done = self._left = True
        self._stream.close()
