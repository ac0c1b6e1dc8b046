"""Starting a worker's process, whatever the channel, and noticing its end."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import inference_server.scoring
from inference_server.errors import StartError
from inference_server.scoring import wire
from inference_server.workers.loopback import accept
from inference_server.workers.spec import PoolSpec

BOOTSTRAP = str(Path(inference_server.scoring.__file__).with_name("bootstrap.py"))
CONNECT_SECONDS = 30.0  # an interpreter that has not connected by then never will

OnExit = Callable[[int], None]  # gets the exit code, or minus the signal that killed it


class Process:
    """A running process, the front's end of its socket, and the shared page if there is one.

    Either our child, then `popen` is given, or a fork of a template: then `tell` is asked to have us told of
    its end, since only its parent can know.
    """

    def __init__(
        self,
        pid: int,
        sock: socket.socket,
        page: mmap.mmap | None,
        popen: subprocess.Popen[bytes] | None = None,
        tell: Callable[[int, OnExit], None] | None = None,
    ) -> None:
        self.pid = pid
        self.sock = sock
        self.page = page
        self.ended = False
        self._popen = popen
        self._tell = tell

    def watch(self, loop: asyncio.AbstractEventLoop, on_exit: OnExit) -> None:
        """Have `on_exit` called once, on `loop`, when the process has ended."""
        if self._tell is not None:
            self._tell(self.pid, on_exit)
        popen = self._popen
        if popen is None:
            return
        try:
            descriptor = os.pidfd_open(popen.pid)
        except (AttributeError, OSError):  # not this system, or no descriptor is left
            threading.Thread(target=self._wait, args=(popen, loop, on_exit), daemon=True).start()
            return

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            kill_group(popen.pid)  # what its script has started; before wait() gives the number free
            self._exited(popen.wait(), on_exit)

        loop.add_reader(descriptor, ended)

    def _wait(self, popen: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, on_exit: OnExit) -> None:
        status = popen.wait()
        kill_group(popen.pid)
        loop.call_soon_threadsafe(self._exited, status, on_exit)

    def _exited(self, status: int, on_exit: OnExit) -> None:
        self.ended = True
        on_exit(status)

    def kill(self) -> None:
        """End the process and what it started, at once."""
        if self.ended:
            return
        if not hasattr(os, "killpg"):
            if self._popen is not None:
                self._popen.kill()
            return
        kill_group(self.pid)
        with contextlib.suppress(OSError):  # a fork of a template may not lead its group yet
            os.kill(self.pid, signal.SIGKILL)


def kill_group(leader: int) -> None:
    """End all processes of the group that `leader` leads or led, where there are such groups."""
    with contextlib.suppress(OSError, AttributeError):
        os.killpg(leader, signal.SIGKILL)


def make_page() -> tuple[mmap.mmap, int]:
    """A page to share, and its descriptor: the caller passes it on and closes it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("azmlinfsrv-worker")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, wire.PAGE_BYTES)
    return mmap.mmap(descriptor, wire.PAGE_BYTES), descriptor


async def start_process(spec: PoolSpec, number: int = 0, template: bool = False) -> Process:
    """Start the interpreter on the bootstrap file.

    Raises StartError when it cannot run or does not connect, or its environment refers to what cannot be had.
    """
    if spec.secrets is not None:
        await spec.secrets.ready()
    python = spec.python if spec.model_environment is None else await spec.model_environment.ready()
    # frozen modules of the standard library cannot be stepped through
    options = ["-X", "frozen_modules=off"] if spec.debugged else []
    arguments = [python, *options, BOOTSTRAP, "--parent", str(os.getpid())]
    if template:
        arguments.append("--template")
    if spec.channel == "tcp" and not template:
        return await _start_tcp(spec, arguments, spec.environment_of(number))
    front, theirs = socket.socketpair()
    # several run() at a time have several requests in hand, which one mark cannot tell apart
    page, descriptor = make_page() if spec.config.threads == 1 or template else (None, None)
    passed = [theirs.fileno()]
    arguments += ["--fd", str(theirs.fileno())]
    if descriptor is not None:
        passed.append(descriptor)
        arguments += ["--page", str(descriptor)]
    try:
        popen = _popen(spec, arguments, spec.environment_of(number), passed)
    except StartError:
        front.close()
        raise
    finally:
        theirs.close()
        if descriptor is not None:
            os.close(descriptor)
    return Process(popen.pid, front, page, popen)


async def _start_tcp(spec: PoolSpec, arguments: list[str], environment: dict[str, str]) -> Process:
    """The worker connects back over loopback and proves itself with a token that only it was given."""
    token = secrets.token_hex(32)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        arguments += ["--connect", str(listener.getsockname()[1])]
        popen = _popen(spec, arguments, {**environment, wire.TOKEN_VARIABLE: token}, [])
        try:
            sock = await asyncio.wait_for(accept(listener, token, popen), CONNECT_SECONDS)
        except BaseException as error:
            popen.kill()
            popen.wait()
            if isinstance(error, (asyncio.TimeoutError, OSError)):
                why = str(error) or f"not within {CONNECT_SECONDS:g} s"
                raise StartError(f"{arguments[0]} started but did not connect: {why}") from error
            raise
    return Process(popen.pid, sock, None, popen)


def _popen(
    spec: PoolSpec, arguments: list[str], environment: dict[str, str], passed: list[int]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=passed,
            start_new_session=True,  # its own group: what a script starts can be ended with it
        )
    except OSError as error:
        raise StartError(
            f"cannot start the model's interpreter {arguments[0]}: {error.strerror or error}; "
            "give --python the path of a Python 3.8 or newer"
        ) from error
