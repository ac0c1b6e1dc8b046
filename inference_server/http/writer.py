"""A streamed answer on its way out: written as the client takes it, never more than a credit ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from inference_server.http import answers
from inference_server.messages import Answer, AnswerStream


class StreamWriter:
    """Chunks from the worker go to the transport; what the client has taken is granted to the worker anew.

    `over(writer, complete)` is called once, when the stream has ended or broken; not after `client_left`.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        stream: AnswerStream,
        chunked: bool,
        over: Callable[[StreamWriter, bool], None],
    ) -> None:
        self.sent = 0  # bytes of the body
        self.written = 0  # the same with their framing
        self.head_bytes = 0
        self.answer: Answer
        self._transport = transport
        self._stream = stream
        self._chunked = chunked
        self._over = over
        self._held = 0  # bytes written while the client does not read: granted when it does
        self._paused = False
        self._done = False

    def begin(self, answer: Answer, head_bytes: int, discard: bool) -> None:
        """The head has been written. `discard`: this answer has no body (HEAD); the stream is closed."""
        self.answer = answer
        self.head_bytes = head_bytes
        if discard:
            self._stream.close()
            self._end(True)
        else:
            self._stream.attach(self._chunk, self._end)

    def _chunk(self, data: bytes) -> None:
        framed = answers.chunk(data) if self._chunked else data
        self.sent += len(data)
        self.written += len(framed)
        self._transport.write(framed)
        if self._paused:
            self._held += len(data)
        else:
            self._stream.grant(len(data))

    def _end(self, complete: bool) -> None:
        if self._done:
            return
        self._done = True
        if complete and self._chunked:
            self._transport.write(answers.LAST_CHUNK)
        self._over(self, complete)

    def pause(self) -> None:
        """The client does not take what is written: grant nothing more."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._held:
            held, self._held = self._held, 0
            self._stream.grant(held)

    def client_left(self) -> None:
        self._done = True
        self._stream.close()
