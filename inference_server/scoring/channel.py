"""The worker's end of the channel: records in, records out, and the marks that outlive a crash."""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
import threading
from collections import deque
from time import monotonic_ns
from typing import Callable, Deque, List, NamedTuple, Optional

from inference_server.scoring import wire
from inference_server.scoring.redaction import redacted

READ_BYTES = 64 * 1024  # below malloc's mmap threshold: a larger buffer costs page faults at every read
FLUSH_NS = (
    80000  # an answer leaves at most this long after it is known; both processes work when a few go at a time
)
NO_WAIT = getattr(
    socket, "MSG_DONTWAIT", 0
)  # where there is none, select() looks: it cannot do so for all descriptors


class Record(NamedTuple):
    """One record from the front. `body` is bytes, or a bytearray when it was too large for one read."""

    kind: int
    method: int
    seq: int
    query: bytes
    meta: bytes
    body: bytes
    size: int  # the record's `body length` field; for CREDIT and CLOSE, which carry no body, their number


class FrontGone(Exception):
    """The channel is closed, by the front or by the script: this worker has no one to work for."""


class Channel:
    """Blocking reads of records; answers gathered in the outbox and sent many at a time.

    The outbox lies in the shared page. Should this process die, the front finds there every answer that was
    finished but not yet sent. Without a page each record is sent at once.

    A process that the script forks has no part in it: there, what is put is dropped.
    """

    def __init__(self, sock: socket.socket, page: Optional[mmap.mmap]) -> None:
        self._sock = sock
        self._lock = threading.Lock()  # several threads may answer
        self._data = b""
        self._at = 0
        self._later: Deque[Record] = deque()
        self._flushed = monotonic_ns()
        self._filled = 0
        self._page = page
        view = memoryview(page) if page is not None else memoryview(bytearray(wire.PAGE_BYTES))
        self.cells = view[: wire.LEFT].cast("Q")
        self.left = view[wire.LEFT : wire.OUTBOX]  # see wire.LEFT
        self._outbox = view[wire.OUTBOX :]
        self.before_wait: Callable[[], None] = lambda: None  # called when this process has nothing at hand
        self.mine = True  # not in a forked child
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._disown)

    def _disown(self) -> None:
        self.mine = False
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    # ------------------------------------------------------------ reading

    def next(self) -> Record:
        """The next record; everything waiting is sent before this blocks. Raises FrontGone."""
        if self._later:
            return self._later.popleft()
        return self._read()

    def next_control(self, seq: int, wait: bool) -> Optional[Record]:
        """The next CREDIT or CLOSE of stream `seq`; other records are kept for `next`.

        With `wait` false, None when none has arrived.
        """
        while True:
            if not wait and not self._arrived():
                return None
            record = self._read()
            if record.kind in (wire.CREDIT, wire.CLOSE):
                if record.seq == seq:
                    return record
                continue  # of a stream that has ended
            self._later.append(record)
            if record.kind == wire.STOP and wait:
                return None

    def gather(self, count: int, size: int) -> List[Record]:
        """The next record, waited for, and those that have come with or after it: at most `count`, and no more
        once their bodies have `size` bytes. STOP is the last one. What has come in part is waited for. Raises
        FrontGone."""
        found = [self.next()]
        size -= len(found[0].body)
        unpack = wire.TO_WORKER.unpack_from
        header_bytes = wire.TO_WORKER.size
        while len(found) < count and size > 0 and found[-1].kind != wire.STOP:
            at, data = self._at, self._data
            if (
                not self._later and len(data) - at >= header_bytes
            ):  # mostly: they lie in the buffer, one by one
                kind, method, seq, query_bytes, meta_bytes, body_bytes = unpack(data, at)
                at += header_bytes
                meta_at = at + query_bytes
                body_at = meta_at + meta_bytes
                end = body_at + body_bytes
                if kind == wire.SCORE and end <= len(data):
                    self._at = end
                    parts = (
                        kind,
                        method,
                        seq,
                        data[at:meta_at],
                        data[meta_at:body_at],
                        data[body_at:end],
                        body_bytes,
                    )
                    found.append(tuple.__new__(Record, parts))
                    size -= body_bytes
                    continue
            if not (self._later or self._arrived()):
                break
            found.append(self.next())
            size -= len(found[-1].body)
        return found

    @property
    def at_hand(self) -> bool:
        """Whether a record was received, at least in part, that nobody has asked for."""
        return bool(self._later) or self._at < len(self._data)

    def _arrived(self) -> bool:
        if self._at < len(self._data):
            return True
        if NO_WAIT:
            try:
                data = self._sock.recv(READ_BYTES, NO_WAIT)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                data = b""
            if not data:
                raise FrontGone
            self._data, self._at = data, 0
            return True
        if not select.select([self._sock], [], [], 0)[0]:
            return False
        self._more()
        return True

    def _read(self) -> Record:
        header_bytes = wire.TO_WORKER.size
        while len(self._data) - self._at < header_bytes:
            self._more()
        kind, method, seq, query_bytes, meta_bytes, size = wire.TO_WORKER.unpack_from(self._data, self._at)
        self._at += header_bytes
        parts_bytes = query_bytes + meta_bytes
        while len(self._data) - self._at < parts_bytes:
            self._more()
        at = self._at
        query = self._data[at : at + query_bytes]
        meta = self._data[at + query_bytes : at + parts_bytes]
        self._at = at + parts_bytes
        has_body = kind == wire.SCORE or kind == wire.START or kind == wire.VERDICT
        body = self._body(size) if has_body else b""
        # past the named tuple's own constructor, which takes longer than all of the above
        return tuple.__new__(Record, (kind, method, seq, query, meta, body, size))

    def _body(self, size: int) -> bytes:
        at = self._at
        if len(self._data) - at >= size:
            self._at = at + size
            return self._data[at : at + size]
        body = bytearray(size)
        have = len(self._data) - at
        body[:have] = self._data[at:]
        self._data, self._at = b"", 0
        self.flush()
        self.before_wait()
        with memoryview(body) as view:
            while have < size:
                try:
                    got = self._sock.recv_into(view[have:])
                except OSError:
                    got = 0
                if not got:
                    raise FrontGone
                have += got
        return body  # type: ignore[return-value]  # every reader takes any bytes-like object

    def _more(self) -> None:
        self.flush()
        self.before_wait()
        try:
            data = self._sock.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            raise FrontGone
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0

    # ------------------------------------------------------------ marks

    def take(self, seq: int) -> int:
        """Note that `seq` is in hand, since the time returned (monotonic ns). 0 when the front has withdrawn it: it
        must not be run.

        The mark is written before the withdrawal is read, and the front reads the mark after it has written
        the withdrawal: whatever the order, at most one of the two sides goes on with the request.
        """
        cells = self.cells
        cells[wire.BEGAN] = 0
        cells[wire.TAKEN] = taken = monotonic_ns()
        cells[wire.MARK] = seq
        withdrawn = cells[wire.WITHDRAW]
        return taken if not withdrawn or seq < withdrawn else 0

    # ------------------------------------------------------------ writing

    @property
    def writing(self) -> bool:
        """Whether an exception raised now, by a timer's handler, could tear a record in two."""
        return self._lock.locked()

    def put(self, head: bytes, headers: bytes = b"", body: bytes = b"") -> None:
        """Send one whole record, now or together with the next ones.

        What stays in the outbox leaves with the first record that is put FLUSH_NS or more after the last
        sending, and before this worker waits. Should it be long in a run() meanwhile, the front fetches it.
        """
        if self.mine:
            with self._lock:
                self._put(head + headers, body)

    def _put(self, head: bytes, body: bytes) -> None:
        size = len(head) + len(body)
        if self._page is None or size > wire.OUTBOX_BYTES:
            self._flush()
            self._send(head)
            if body:
                self._send(body)
            return
        if self._filled + size > wire.OUTBOX_BYTES:
            self._flush()
        at = self._filled
        self._outbox[at : at + size] = head + body
        self._filled = at + size
        self.cells[wire.FILLED] = self._filled
        if monotonic_ns() - self._flushed > FLUSH_NS:
            self._flush()

    def flush(self) -> None:
        """Send what waits in the outbox."""
        if self._filled and self.mine:
            with self._lock:
                self._flush()
        else:
            self._flushed = monotonic_ns()

    def _flush(self) -> None:
        filled = self._filled
        if filled:
            self._sendall(self._outbox[:filled])
            # emptied before it is counted as sent: a death in between loses nothing and repeats nothing
            self._filled = 0
            self.cells[wire.FILLED] = 0
            self.cells[wire.SENT] += filled
        self._flushed = monotonic_ns()

    def _send(self, data: bytes) -> None:
        self._sendall(memoryview(data))
        self.cells[wire.SENT] += len(data)

    def _sendall(self, data: memoryview) -> None:
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise FrontGone from error


def record(
    kind: int,
    seq: int = 0,
    status: int = 0,
    flags: int = 0,
    content_type: int = 0,
    headers: int = 0,
    body: int = 0,
) -> bytes:
    """The fixed header of a record to the front; `headers` and `body` are lengths in bytes."""
    return wire.TO_FRONT.pack(kind, flags, content_type, seq, status, 0.0, 0.0, 0.0, headers, body)


def say(channel: Channel, kind: int, facts: object) -> None:
    """Send one JSON record at once."""
    body = redacted(json.dumps(facts)).encode()
    channel.put(record(kind, body=len(body)), b"", body)
    channel.flush()
