"""Log bytes to a standard stream without ever waiting for whoever reads it.

A terminal that is paused or a log collector that hangs leaves a pipe full; a plain write would then hold the
event loop, and with it every request. A `Writer` writes what the system takes at once, keeps a bounded
backlog, and drops whole lines beyond it, saying afterwards how many.

How a write is kept from waiting depends on what the stream is:

    pipe, FIFO, terminal   opened once more through /proc/self/fd, with O_NONBLOCK: the new description is
                           private, so nobody else who holds the stream sees it become non-blocking
    socket                 send() with MSG_DONTWAIT
    regular file, device   a write never waits for a reader
    anything else          poll(), then at most PIPE_BUF bytes, which a writable pipe takes
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import select
import socket
import stat
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

BACKLOG_BYTES = 1024 * 1024
# POSIX: up to this many bytes reach a pipe whole or not at all, so lines of other processes never cut ours.
PIPE_BUF = getattr(select, "PIPE_BUF", 512)
POLL_SECONDS = 0.2
DROPPED = "%s W [%d] azmlinfsrv - %d log lines were dropped: nobody reads this log fast enough\n"

Send = Callable[[bytes], int]


class Writer:
    """Lines of bytes to the descriptor `fd`, from any thread; no call ever waits or raises.

    `backlog_bytes` is what may wait for a slow reader. While something waits, a thread of its own feeds the
    reader; there is none otherwise.
    """

    def __init__(self, fd: int, backlog_bytes: int = BACKLOG_BYTES) -> None:
        self.fd = fd
        self.dropped = 0  # lines, since the start
        self._limit = backlog_bytes
        # Reentrant: a finalizer that logs may run in the middle of a write of the same thread.
        self._lock = threading.RLock()
        self._backlog: deque[bytes] = deque()
        self._waiting = 0  # bytes in the backlog
        self._untold = 0  # lines dropped since it was last said
        self._feeder: threading.Thread | None = None
        self._own, self._send, self._piece = _open(fd)
        if hasattr(os, "register_at_fork"):
            reset = weakref.WeakMethod(self._forked)
            os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def write(self, data: bytes) -> None:
        """Write `data`, whole lines, or as much as the backlog has room for."""
        with self._lock:
            if not self._backlog:
                if self._untold:
                    self._tell()
                data = self._push(data)
            if data:
                self._keep(data)

    def flush(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the backlog to be read; at the end of the process only."""
        feeder = self._feeder
        if feeder is not None:
            feeder.join(timeout)
        return not self._backlog

    def _push(self, data: bytes) -> bytes:
        """Write what the system takes now; returns what it does not."""
        at, end = 0, len(data)
        try:
            while at < end:
                stop = end
                if end - at > self._piece:  # cut between lines
                    stop = data.rfind(b"\n", at, at + self._piece) + 1 or at + self._piece
                at += self._send(data[at:stop] if stop - at < end else data)
        except BlockingIOError:
            return data[at:]
        except OSError:  # nobody reads any more, no space left, no such stream
            self._drop(data[at:])
        return b""

    def _keep(self, data: bytes) -> None:
        room = self._limit - self._waiting
        if len(data) > room:
            stop = data.rfind(b"\n", 0, max(room, 0)) + 1
            self._drop(data[stop:])
            data = data[:stop]
        if data:
            self._backlog.append(data)
            self._waiting += len(data)
        if self._backlog and self._feeder is None:
            feeder = threading.Thread(target=self._feed, name="log-output", daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread can start now: the next write tries again
                feeder.start()
                self._feeder = feeder

    def _drop(self, data: bytes) -> None:
        lines = data.count(b"\n")
        self.dropped += lines
        self._untold += lines

    def _tell(self) -> bool:
        """Say how many lines were dropped; False when there is no room to say it yet."""
        count = self._untold
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)) + f",{int(now % 1 * 1000):03d}"
        try:
            self._send((DROPPED % (stamp, os.getpid(), count)).encode())
        except OSError as error:
            return not isinstance(error, BlockingIOError)
        self._untold -= count
        return True

    def _feed(self) -> None:
        """The thread that lives while something waits."""
        while True:
            _wait_writable(self._own)
            with self._lock:
                while self._backlog:
                    data = self._backlog.popleft()
                    self._waiting -= len(data)
                    rest = self._push(data)
                    if rest:
                        self._backlog.appendleft(rest)
                        self._waiting += len(rest)
                        break
                if not self._backlog and (not self._untold or self._tell()):
                    self._feeder = None
                    return

    def _forked(self) -> None:
        """In a forked child the backlog is the parent's to write, and its thread does not exist."""
        self._lock = threading.RLock()
        self._backlog.clear()
        self._waiting = self._untold = 0
        self._feeder = None


class TextStream(io.TextIOBase):
    """A writer as a text stream, for logging handlers and for sys.stdout and sys.stderr of the front."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def write(self, text: str) -> int:
        self._writer.write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def fileno(self) -> int:
        return self._writer.fd

    def writable(self) -> bool:
        return True


@functools.cache
def standard(fd: int) -> Writer:
    """The one writer of this process for standard output (1) or standard error (2)."""
    return Writer(fd)


def _open(fd: int) -> tuple[int, Send, int]:
    """A descriptor of our own, how to write to it without waiting, and the most bytes of one write."""
    try:
        mode = os.fstat(fd).st_mode
        own = os.dup(fd)
    except OSError:
        return -1, _refuse, BACKLOG_BYTES  # the process was started without this stream
    if stat.S_ISREG(mode):
        return own, functools.partial(os.write, own), BACKLOG_BYTES
    if stat.S_ISSOCK(mode) and hasattr(socket, "MSG_DONTWAIT"):
        connection = socket.socket(fileno=own)
        # A timeout of None keeps Python from touching the O_NONBLOCK that everybody shares.
        return own, lambda data: connection.send(data, socket.MSG_DONTWAIT), BACKLOG_BYTES
    with contextlib.suppress(OSError, AttributeError):
        private = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        os.close(own)
        return private, functools.partial(os.write, private), PIPE_BUF
    if hasattr(select, "poll"):
        return own, functools.partial(_write_if_writable, own), PIPE_BUF
    return own, functools.partial(os.write, own), BACKLOG_BYTES


def _refuse(data: bytes) -> int:
    raise OSError("the stream was closed before the process started")


def _write_if_writable(fd: int, data: bytes) -> int:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError
    return os.write(fd, data)


def _wait_writable(fd: int) -> None:
    """Until `fd` takes bytes, or a moment: a pipe whose reader is gone says so at once."""
    if not hasattr(select, "poll"):
        time.sleep(POLL_SECONDS)
        return
    poll = select.poll()
    with contextlib.suppress(OSError, ValueError):
        poll.register(fd, select.POLLOUT)
        poll.poll(POLL_SECONDS * 1000)
