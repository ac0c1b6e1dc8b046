"""WORKER_PRELOAD: a process that has loaded the script once and forks workers that share its memory.

The template never serves. It forks when the front asks, and tells the front when a fork has ended.
"""

from __future__ import annotations

import array
import contextlib
import glob
import json
import mmap
import os
import select
import signal
import socket
import sys
import threading
from typing import List, Optional, Set, Tuple

from inference_server.scoring import coroutines, wire
from inference_server.scoring.channel import Channel, FrontGone, record
from inference_server.scoring.config import ScoringConfig
from inference_server.scoring.parent import THREAD, die_with_parent
from inference_server.scoring.script import Script

DESCRIPTORS = "/proc/self/fd/*"  # links to what this process has open
DEVICES = "/dev/nvidia"  # what the links to NVIDIA devices begin with


def why_not_fork() -> Optional[str]:
    """The reason this process must not be forked now that init() has run, or None."""
    ours = (threading.main_thread().name, THREAD)
    threads = [thread.name for thread in threading.enumerate() if thread.name not in ours]
    if threads:
        return (
            "init() left {} thread(s) running ({}), which a fork would lose; "
            "start threads in run(), or unset WORKER_PRELOAD".format(len(threads), ", ".join(threads))
        )
    if coroutines.in_use():
        return "init() is async: what it opened belongs to an event loop that a fork cannot share; unset WORKER_PRELOAD"
    torch = sys.modules.get("torch")
    if (torch is not None and torch.cuda.is_initialized()) or _holds_gpu():
        return "init() uses CUDA, which does not survive a fork; unset WORKER_PRELOAD"
    return None


def _holds_gpu() -> bool:
    """Whether this process has an NVIDIA device open, whichever library opened it; only Linux can tell."""
    for descriptor in glob.iglob(DESCRIPTORS):
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.readlink(descriptor).startswith(DEVICES):
                return True
    return False


class Template:
    """Holds the loaded script; `serve` forks until the front is gone or says stop."""

    def __init__(self, channel: Channel, config: ScoringConfig, script: Script) -> None:
        self._channel = channel
        self._sock = socket.socket(fileno=os.dup(channel.fileno()))
        self._config = config
        self._script = script
        self._workers: Set[int] = set()  # a script's own children are not ours to wait for
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)

    def serve(self) -> int:
        """Returns the exit code of whichever process this is in the end: the template, or a forked worker."""
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        self._say(wire.READY, 0, {"pid": os.getpid()})
        while True:
            ready, _, _ = select.select([self._sock, self._wake_read], [], [])
            if self._wake_read in ready:
                self._wake_read.recv(4096)
                self._reap()
            if self._sock in ready:
                kind, tag, descriptors = self._receive()
                if kind == wire.STOP:
                    return 0
                if kind == wire.FORK and self._fork(tag, descriptors):
                    return 0

    def _receive(self) -> Tuple[int, int, List[int]]:
        descriptors = array.array("i")
        header_bytes = wire.TO_WORKER.size
        data, ancillary, _, _ = self._sock.recvmsg(
            header_bytes, socket.CMSG_SPACE(2 * descriptors.itemsize), socket.MSG_WAITALL
        )
        if len(data) < header_bytes:
            raise FrontGone
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
        fields = wire.TO_WORKER.unpack(data)
        return fields[0], fields[2], list(descriptors)

    def _fork(self, tag: int, descriptors: List[int]) -> bool:
        """Fork a worker; True in the worker once it has served to its end."""
        template = os.getpid()
        pid = os.fork()
        if pid:
            for descriptor in descriptors:
                os.close(descriptor)
            self._workers.add(pid)
            self._say(wire.FORKED, tag, {"pid": pid})
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for sock in (self._sock, self._wake_read, self._wake_write, self._channel):
            sock.close()
        os.setsid()
        self._work(descriptors, template)
        return True

    def _work(self, descriptors: List[int], template: int) -> None:
        from inference_server.scoring.main import serve

        page = mmap.mmap(descriptors[1], wire.PAGE_BYTES)
        os.close(descriptors[1])
        sock = socket.socket(fileno=descriptors[0])
        sock.setblocking(True)
        channel = Channel(sock, page if self._config.threads == 1 else None)
        die_with_parent(template, channel.fileno())
        with contextlib.suppress(FrontGone):
            serve(channel, self._config, self._script)

    def _reap(self) -> None:
        for worker in list(self._workers):
            try:
                pid, status = os.waitpid(worker, os.WNOHANG)
            except ChildProcessError:  # the script's own handler of SIGCHLD was quicker
                pid, status = worker, 0
            if pid:
                self._workers.discard(pid)
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)  # what its script has started
                self._say(wire.EXITED, 0, {"pid": pid, "status": status})

    def _say(self, kind: int, tag: int, facts: object) -> None:
        body = json.dumps(facts).encode()
        self._channel.put(record(kind, tag, body=len(body)), b"", body)
        self._channel.flush()
