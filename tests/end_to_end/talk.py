"""HTTP by hand over one connection, for what ordinary clients neither send nor show."""

from __future__ import annotations

import socket
from types import TracebackType

from tests.end_to_end.running import Reply, Server


class Talk:
    """A connection to a server: bytes out, whole answers in."""

    def __init__(self, server: Server, timeout: float = 10.0, receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        if receive_buffer:  # before connecting: it decides the window
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", server.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.sock.makefile("rb")

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def reset(self) -> None:
        """Leave with a reset instead of a polite end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def end(self) -> None:
        """Say that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    # ------------------------------------------------------------ reading

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        """Status and headers (names in lower case) of the next answer."""
        line = self._file.readline().decode("latin-1")
        if not line:
            raise EOFError("the server closed the connection")
        version, status, _ = line.split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), line
        headers = []
        while (line := self._file.readline().decode("latin-1")) not in ("\r\n", ""):
            assert line.endswith("\r\n"), line
            name, _, value = line[:-2].partition(": ")
            headers.append((name.lower(), value))
        return int(status), headers

    def chunk(self) -> bytes:
        """The next chunk of a streamed answer; empty: the last. Raises EOFError when the stream was cut."""
        size = self._file.readline()
        if not size.endswith(b"\r\n"):
            raise EOFError("the stream was cut")
        data = self._file.read(int(size, 16) + 2)
        if not data.endswith(b"\r\n"):
            raise EOFError("the stream was cut")
        return data[:-2]

    def reply(self, method: str = "POST") -> Reply:
        """The next whole answer; `method` is the request's."""
        status, headers = self.head()
        fields = dict(headers)
        if method == "HEAD" or status in (100, 204, 304):
            body = b""
        elif fields.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
        elif "content-length" in fields:
            body = self._file.read(int(fields["content-length"]))
            assert len(body) == int(fields["content-length"])
        else:
            body = self._file.read()
        return Reply(status, fields, body)

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        return self._file.read()

    def closed(self) -> bool:
        """Whether the server closes now, with nothing more sent."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


def post(body: bytes, *headers: str, target: str = "/score", version: str = "1.1") -> bytes:
    """The bytes of a POST with its Content-Length."""
    lines = [f"POST {target} HTTP/{version}", "Host: test", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """The bytes of a POST in chunks."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"POST /score HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + data + b"0\r\n\r\n"
