"""Where editors attach: one port for each worker's place, whichever process fills it.

A worker's debugpy listens on a port of its own and dies with it. So the front keeps the port that people know, and
passes on what an editor and debugpy say, in the Debug Adapter Protocol. Of it this needs to know the frames (a
length, then JSON) and three messages: when the worker is replaced, the editor is told that the session has ended and
is to be restarted, which makes it attach again, now to the new worker, with all its breakpoints.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from inference_server.errors import StartError

TRIES = 50  # how many ports are looked at, from the one that was asked for
EDITOR_SECONDS = (
    10.0  # for an editor that was attached to a worker to attach to its successor, before that goes on
)
LEAVE_SECONDS = 2.0  # for an editor to let go of a session that it was told has ended
LAST_WORDS_SECONDS = (
    0.5  # for the debugger of a process that has ended to say so itself, after what it printed
)
LONGEST_LINE = 4096
LONGEST_MESSAGE = 64 * 1024 * 1024

logger = logging.getLogger("azmlinfsrv")


class Door:
    """The port of one worker's place. Processes come and go behind it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.port = 0  # where editors attach
        self._server: asyncio.Server | None = None
        self._ports: list[int] = []  # of the debuggers that live, the newest last
        self._come = asyncio.Event()
        self._expected = 0.0  # monotonic seconds: until then an editor that was told to restart is to be back
        self._sessions: dict[asyncio.Task[None], Session] = {}

    async def open(self, host: str, port: int) -> int:
        """Listen on `port` or the next free one, which is returned. Raises StartError."""
        last: object = "it is past the last one"
        for candidate in range(port, min(port + TRIES, 65536)):
            try:
                self._server = await asyncio.start_server(self._attached, host, candidate)
            except OSError as error:
                last = error
            else:
                self.port = candidate
                return candidate
        raise StartError(
            f"editors cannot attach: no port from {port} on can be listened on ({last}); choose another with "
            "--debug_port"
        )

    @property
    def in_use(self) -> bool:
        """Whether an editor is attached, or was told to attach again."""
        return self._expected > monotonic() or any(session.follows for session in self._sessions.values())

    def _restarted(self, session: Session) -> None:
        """An editor was told to attach anew: not there where the debugger itself has said that it is over."""
        self._expected = monotonic() + EDITOR_SECONDS
        if session.ended:
            self._forget(session.port)

    def debugger(self, port: int, ended: asyncio.Future[Any]) -> None:
        """A process listens for its editor on `port` until it has `ended`; editors move there."""
        self._ports.append(port)
        ended.add_done_callback(lambda _: self._ended(port))
        self._come.set()
        for session in self._sessions.values():
            session.move()

    def _ended(self, port: int) -> None:
        """The process is gone. Its debugger is another process, which may take its time to tell its editor."""
        self._forget(port)
        loop = asyncio.get_running_loop()
        for session in self._sessions.values():
            if session.port == port:
                loop.call_later(LAST_WORDS_SECONDS, session.move)

    def _forget(self, port: int) -> None:
        """Its debugger takes no editor any more."""
        if port in self._ports:
            self._ports.remove(port)

    def stop(self) -> None:
        """The server stops: editors are told of ends, but not to come back."""
        if self._server is not None:
            self._server.close()
        for session in self._sessions.values():
            session.stop()

    def close(self) -> None:
        """End all sessions."""
        self.stop()
        for task in list(self._sessions):
            task.cancel()

    def _attached(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer, self._restarted)
        task = asyncio.ensure_future(self._serve(session))
        self._sessions[task] = session
        task.add_done_callback(lambda task: self._sessions.pop(task))

    async def _port_of_debugger(self) -> int:
        """The newest one's, waited for."""
        while not self._ports:
            self._come.clear()
            await self._come.wait()
        return self._ports[-1]

    async def _serve(self, session: Session) -> None:
        try:
            while not await session.connected(await self._port_of_debugger()):
                self._forget(session.port)
            await session.run(self._number)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # either side is gone, or does not speak the protocol
        finally:
            session.close()


class Session:
    """One editor's connection, passed on to one debugger."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_restart: Callable[[Session], None],
    ) -> None:
        self.follows = False  # the editor has attached and is to be moved to the next worker
        self.port = 0  # of the debugger
        self.ended = False  # the debugger has said, unasked, that there is nothing to debug any more
        self._on_restart = on_restart
        self._editor = (reader, writer)
        self._debugger: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._over = False  # the editor was told that the session has ended
        self._gone = False  # the debugger has hung up
        self._last = False  # no worker comes after this one
        self._close: asyncio.TimerHandle | None = None

    async def connected(self, port: int) -> bool:
        """Whether a debugger listens on `port`; then this is its editor."""
        self.port = port
        try:
            self._debugger = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        return True

    async def run(self, worker: int) -> None:
        """Pass on what both say until one of them leaves. An editor that is to attach anew is given time to let go."""
        assert self._debugger is not None
        debugger, to_debugger = self._debugger
        editor, to_editor = self._editor
        asks = asyncio.ensure_future(self._pass(editor, to_debugger, lambda body: self._asked(body, worker)))
        says = asyncio.ensure_future(self._pass(debugger, to_editor, self._said))
        try:
            await asyncio.wait({asks, says}, return_when=asyncio.FIRST_COMPLETED)
            if not asks.done():
                self._gone = True
                self.move()  # it may have hung up without a word
                if self._over:
                    await asyncio.wait({asks}, timeout=LEAVE_SECONDS)
        finally:
            for way in (asks, says):
                way.cancel()
            await asyncio.gather(asks, says, return_exceptions=True)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], bytes]
    ) -> None:
        while body := await _read(reader):
            body = look(body)
            if body:
                writer.write(_framed(body))
                await writer.drain()

    def _asked(self, body: bytes, worker: int) -> bytes:
        """What the editor sends, and what this learns from it."""
        if b'"attach"' in body or b'"disconnect"' in body or b'"terminate"' in body:
            message = json.loads(body)
            command = message.get("command")
            if command == "attach":
                arguments = message.get("arguments") or {}
                # a session for a process that the script started ends with it
                restarts = "subProcessId" not in arguments and arguments.get("restart") is not False
                self.follows = restarts and not self._last
                logger.info("An editor attaches to worker %d", worker)
            elif command in ("disconnect", "terminate"):
                self.follows = False
                if self._gone:
                    self._editor[1].write(_framed(_done(message)))
        return b"" if self._gone else body

    def _said(self, body: bytes) -> bytes:
        """What the debugger sends, as it is to reach the editor; empty: not at all."""
        if b'"terminated"' in body and json.loads(body).get("event") == "terminated":
            if self._over:
                return b""
            if self.follows:
                self._over = self.ended = True
                self._on_restart(self)
                return _restart()
        return body

    def stop(self) -> None:
        """This session is the last one: its end is no reason to attach anew."""
        self._last, self.follows = True, False

    def move(self) -> None:
        """Have the editor attach anew, if it was not told already."""
        if not self.follows or self._over:
            return
        self._over = True
        self._on_restart(self)
        self._editor[1].write(_framed(_restart()))
        self._close = asyncio.get_running_loop().call_later(LEAVE_SECONDS, self.close)

    def close(self) -> None:
        """Hang up on both sides."""
        if self._close is not None:
            self._close.cancel()
        for _, writer in filter(None, (self._editor, self._debugger)):
            with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the loop is closed
                writer.close()


def _restart() -> bytes:
    return json.dumps({"seq": 0, "type": "event", "event": "terminated", "body": {"restart": True}}).encode()


def _done(request: dict[str, Any]) -> bytes:
    """The answer to a request that its debugger cannot give any more."""
    answer = {"seq": 0, "type": "response", "request_seq": request.get("seq"), "success": True}
    return json.dumps({**answer, "command": request.get("command")}).encode()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The JSON of one message; empty at the end. Raises ValueError for what is no message."""
    size = 0
    while line := (await reader.readline()).strip():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            size = int(value)
        if len(line) > LONGEST_LINE or size > LONGEST_MESSAGE:
            raise ValueError("not a message of the Debug Adapter Protocol")
    return await reader.readexactly(size) if size else b""


def _framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class Doors:
    """The ports of a pool, from `port` of `host` on."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._doors: dict[int, Door] = {}
        self._opening = (
            asyncio.Lock()
        )  # one after the other: the first worker has the first port that is free

    async def of(self, worker: int) -> Door:
        """The door to the place of `worker`, opened at the first call. Raises StartError."""
        async with self._opening:
            if worker not in self._doors:
                door = Door(worker)
                port = await door.open(self._host, self._port)
                self._doors[worker], self._port = door, port + 1
                logger.warning(
                    "!! Debugging worker %d: attach your editor to %s:%d (VS Code: "
                    "azmlinfsrv vscode writes what it needs). Not for production.",
                    worker,
                    self._host,
                    port,
                )
            return self._doors[worker]

    def stop(self) -> None:
        """No worker will come after those that there are."""
        for door in self._doors.values():
            door.stop()

    def close(self) -> None:
        """End all sessions."""
        for door in self._doors.values():
            door.close()
