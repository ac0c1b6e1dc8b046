"""As much of a debug client as an editor uses to debug a script: the Debug Adapter Protocol over a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import debugpy

from tests.end_to_end.running import free_port, wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

ADAPTER = os.path.join(os.path.dirname(debugpy.__file__), "adapter")


class Client:
    """The debug client that an editor is, connected to whatever speaks the protocol on `port`."""

    def __init__(self, port: int) -> None:
        self._sock = wait_for(lambda: _connect(port))
        self._sock.settimeout(20)
        self._file = self._sock.makefile("rb")
        self._seq = 0
        self.messages: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._sock.close()

    def initialize(self) -> None:
        self.send("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True)

    def go(self, breakpoints: dict[Path, list[int]]) -> None:
        """Once the debugger is there: set the breakpoints and let the process run. They hold when this returns."""
        self.event("initialized")
        for file, lines in breakpoints.items():
            self.ask("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": n} for n in lines])
        self.ask("configurationDone")

    def send(self, command: str, **arguments: Any) -> int:
        self._seq += 1
        request = {"seq": self._seq, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(request).encode()
        self._sock.sendall(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        return self._seq

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The body of the answer to a request."""
        seq = self.send(command, **arguments)
        answer = self._until(lambda message: message.get("request_seq") == seq)
        assert answer["success"], answer
        return dict(answer.get("body") or {})

    def event(self, name: str) -> dict[str, Any]:
        """The body of the next event of that name."""
        return dict(self._until(lambda message: message.get("event") == name).get("body") or {})

    def _until(self, wanted: Any) -> dict[str, Any]:
        while True:
            for index, message in enumerate(self.messages):
                if wanted(message):
                    return self.messages.pop(index)
            size = 0
            while (line := self._file.readline()) not in (b"\r\n", b""):
                size = int(line.partition(b":")[2])
            self.messages.append(json.loads(self._file.read(size)))


class Editor(Client):
    """A debug adapter of its own, and the client of that; processes to be debugged connect to `port`."""

    def __init__(self) -> None:
        self.port = free_port()
        self._start()

    def _start(self) -> None:
        mine = free_port()
        self._adapter = subprocess.Popen(
            [sys.executable, ADAPTER, "--host", "127.0.0.1", "--port", str(mine)]
        )
        super().__init__(mine)

    def close(self) -> None:
        super().close()
        self._adapter.kill()
        self._adapter.wait()

    def listen(self) -> None:
        """Have the adapter wait for a process on `port`, as «attach» with «listen» does in a launch.json."""
        try:
            self._listen()
        except AssertionError:  # debugpy's adapter trips over a client that comes the moment its door opens
            self.close()
            self._start()
            self._listen()

    def _listen(self) -> None:
        self.initialize()
        self.send("attach", listen={"host": "127.0.0.1", "port": self.port}, justMyCode=False)
        wait_for(lambda: _listens(self.port))


class Attached(Client):
    """Attached to a process that listens on `port`, as «attach» with «connect» does in a launch.json."""

    def __init__(
        self, port: int, breakpoints: dict[Path, list[int]], mappings: dict[Path, Path] | None = None
    ) -> None:
        super().__init__(port)
        self.initialize()
        found = [
            {"localRoot": str(here), "remoteRoot": str(there)} for here, there in (mappings or {}).items()
        ]
        self.send("attach", connect={"host": "127.0.0.1", "port": port}, justMyCode=True, pathMappings=found)
        self.go(breakpoints)

    def stopped(self) -> tuple[int, dict[str, Any]]:
        """Where a breakpoint or a step holds: the thread, and its innermost frame."""
        thread = self.event("stopped")["threadId"]
        return thread, self.ask("stackTrace", threadId=thread)["stackFrames"][0]

    def value(self, frame: dict[str, Any], expression: str) -> str:
        return str(self.ask("evaluate", expression=expression, frameId=frame["id"])["result"])


def _connect(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=2)
    except ConnectionRefusedError:
        return None


def _listens(port: int) -> bool:
    """Whether somebody listens, without connecting to it."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()
