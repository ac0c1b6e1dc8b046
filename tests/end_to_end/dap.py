"""As much of a debug client as an editor uses to debug a script: the Debug Adapter Protocol over a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import debugpy

from tests.end_to_end.running import free_port, wait_for

ADAPTER = os.path.join(os.path.dirname(debugpy.__file__), "adapter")


class Editor:
    """A debug adapter, and the client that an editor is to it; processes to be debugged connect to `port`."""

    def __init__(self) -> None:
        self.port = free_port()
        mine = free_port()
        self._adapter = subprocess.Popen(
            [sys.executable, ADAPTER, "--host", "127.0.0.1", "--port", str(mine)]
        )
        self._sock = wait_for(lambda: _connect(mine))
        self._sock.settimeout(20)
        self._file = self._sock.makefile("rb")
        self._seq = 0
        self.messages: list[dict[str, Any]] = []

    def __enter__(self) -> Editor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._sock.close()
        self._adapter.kill()
        self._adapter.wait()

    def listen(self) -> None:
        """Have the adapter wait for a process on `port`, as «attach» with «listen» does in a launch.json."""
        self.send("initialize", adapterID="debugpy", pathFormat="path", linesStartAt1=True)
        self.send("attach", listen={"host": "127.0.0.1", "port": self.port}, justMyCode=False)
        wait_for(lambda: _listens(self.port))

    def go(self, breakpoints: dict[Path, list[int]]) -> None:
        """Once the process has connected: set the breakpoints and let it run."""
        self.event("initialized")
        for file, lines in breakpoints.items():
            self.send("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": n} for n in lines])
        self.send("configurationDone")

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


def _connect(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=2)
    except ConnectionRefusedError:
        return None


def _listens(port: int) -> bool:
    """Whether somebody listens, without connecting to it."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()
