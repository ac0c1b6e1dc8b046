"""The front's end of the channel: never blocks, parses records as they come, keeps what could not be sent."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from inference_server.scoring import wire

READ_BYTES = 64 * 1024
JOIN_BYTES = 64 * 1024  # below this, one copy is cheaper than a list of pieces for the kernel
PIECES = 512  # per system call; the least IOV_MAX in use is 1024

# kind, flags, content type code, seq, status, milliseconds of run(), microseconds of decoding, of encoding, headers, body
OnRecord = Callable[[int, int, int, int, int, float, float, float, bytes, bytes], None]


logger = logging.getLogger("azmlinfsrv")


class FrontChannel:
    """Calls `on_record` for each record, `on_batch` after each read that held any, `on_eof` once."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_record: OnRecord,
        on_batch: Callable[[], None],
        on_eof: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = loop
        self._on_record = on_record
        self._on_batch = on_batch
        self._on_eof = on_eof
        self._unsent: deque[memoryview] = deque()
        self._writing = False
        self._data = b""
        self._body: bytearray | None = None  # a body too large for one read, being filled
        self._have = 0
        self._head: tuple[int, int, int, int, int, float, float, float, int, int] | None = None
        self._headers = b""
        self.received = 0  # bytes of the stream, since the beginning
        self._ahead = 0  # bytes of it that were fed before the socket brought them
        self.open = True
        loop.add_reader(self._fd, self._readable)

    # ------------------------------------------------------------ sending

    def send(self, pieces: list[bytes], size: int) -> None:
        """Send `pieces`, `size` bytes in all; what the socket does not take now goes later, in order."""
        if not self.open:
            return
        if self._unsent:
            self._unsent.extend(memoryview(piece) for piece in pieces if piece)
            return
        if size <= JOIN_BYTES:
            data = b"".join(pieces)
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                return  # the worker is gone; its end is seen elsewhere
            if sent < size:
                self._unsent.append(memoryview(data)[sent:])
                self._write_later()
            return
        self._unsent.extend(memoryview(piece) for piece in pieces if piece)
        self._writable()

    def send_with_descriptors(self, data: bytes, descriptors: Sequence[int]) -> None:
        """One short record with open descriptors beside it."""
        socket.send_fds(self._sock, [data], list(descriptors))

    def _writable(self) -> None:
        unsent = self._unsent
        try:
            while unsent:
                sent = self._send_some()
                while sent:
                    first = unsent[0]
                    if sent < len(first):
                        unsent[0] = first[sent:]
                        break
                    sent -= len(first)
                    unsent.popleft()
        except (BlockingIOError, InterruptedError):
            self._write_later()
            return
        except OSError:
            unsent.clear()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def _send_some(self) -> int:
        if hasattr(self._sock, "sendmsg"):
            return self._sock.sendmsg(
                [self._unsent[index] for index in range(min(len(self._unsent), PIECES))]
            )
        return self._sock.send(self._unsent[0])

    def _write_later(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._writable)

    # ------------------------------------------------------------ receiving

    def _readable(self) -> None:
        try:
            self._read_and_tell()
        except Exception:  # what follows in the stream can no longer be told apart: this worker is of no use
            logger.exception("A record of a worker could not be handled")
            self.close()
            self._on_eof()

    def _read_and_tell(self) -> None:
        if self._read():
            self._on_batch()
        elif not self.open:
            self._on_eof()

    def _read(self) -> bool:
        """One read; True when bytes came."""
        try:
            if self._body is not None and not self._ahead:
                return self._fill()
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        if self._ahead:
            known = min(self._ahead, len(data))
            self._ahead -= known
            data = data[known:]
        self.received += len(data)
        self.feed(data)
        return True

    def read_now(self) -> None:
        """Hand on all that has arrived."""
        was_open = self.open
        while self.open and self._read():
            pass
        if was_open and not self.open:
            self._on_eof()

    def feed_ahead(self, data: bytes) -> None:
        """The next bytes of the stream, known otherwise; the socket's copy of them will be passed over."""
        self.received += len(data)
        if self.open:
            self._ahead += len(data)
        self.feed(data)

    def drain(self) -> None:
        """Read all that a dead worker left in the socket, then close it."""
        while self.open and self._read():
            pass
        self.close()

    def close(self) -> None:
        if self.open:
            self.open = False
            self._loop.remove_reader(self._fd)
            if self._writing:
                self._loop.remove_writer(self._fd)
            self._sock.close()
            self._unsent.clear()

    def feed(self, data: bytes) -> None:
        """Bytes of the stream, in order: whole records are handed on, the rest is kept."""
        if self._body is not None:
            data = self._feed_body(data)
        if self._data:
            data = self._data + data
        at = 0
        end = len(data)
        header_bytes = wire.TO_FRONT.size
        unpack = wire.TO_FRONT.unpack_from
        on_record = self._on_record
        while end - at >= header_bytes:
            head = unpack(data, at)
            headers_bytes = head[8]
            body_at = at + header_bytes + headers_bytes
            body_end = body_at + head[9]
            if body_end > end:
                if body_at > end or head[9] < READ_BYTES:
                    break
                self._head = head
                self._headers = data[at + header_bytes : body_at]
                self._body = bytearray(head[9])
                self._have = end - body_at
                self._body[: self._have] = data[body_at:]
                at = end
                break
            headers = data[at + header_bytes : body_at] if headers_bytes else b""
            kind, flags, content_type, seq, status, exec_ms, decode_us, encode_us, _, _ = head
            body = data[body_at:body_end]
            on_record(kind, flags, content_type, seq, status, exec_ms, decode_us, encode_us, headers, body)
            at = body_end
        self._data = data[at:] if at < end else b""

    def _fill(self) -> bool:
        body = self._body
        assert body is not None
        with memoryview(body) as view:
            got = self._sock.recv_into(view[self._have :])
        if not got:
            self.close()
            return False
        self.received += got
        self._have += got
        if self._have == len(body):
            self._body_complete()
        return True

    def _feed_body(self, data: bytes) -> bytes:
        body = self._body
        assert body is not None
        wanted = len(body) - self._have
        part = data[:wanted]
        body[self._have : self._have + len(part)] = part
        self._have += len(part)
        if self._have == len(body):
            self._body_complete()
        return data[wanted:]

    def _body_complete(self) -> None:
        head, body = self._head, self._body
        assert head is not None
        assert body is not None
        self._head = self._body = None
        # a bytearray serves wherever bytes do here; turning it into bytes would copy a large body once more
        self._on_record(*head[:8], self._headers, cast(bytes, body))
