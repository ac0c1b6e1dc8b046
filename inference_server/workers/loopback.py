"""The channel over loopback TCP, for systems without socket pairs: who connects must know a token."""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
from time import monotonic

TOKEN_SECONDS = 5.0  # for one that has connected to say who it is
LOOK_SECONDS = 0.2  # how often it is looked whether one that has not connected still lives


async def accept(listener: socket.socket, token: str, popen: subprocess.Popen[bytes]) -> socket.socket:
    """The connection of the one that knows the token. Raises OSError when the process ends before."""
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            if popen.poll() is not None:
                raise OSError(f"it exited with {popen.returncode}") from None
            await _readable(listener, LOOK_SECONDS)
            continue
        sock.setblocking(False)
        if await _knows(sock, token):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        sock.close()


async def _knows(sock: socket.socket, token: str) -> bool:
    said = b""
    until = monotonic() + TOKEN_SECONDS
    while len(said) < len(token) and monotonic() < until:
        await _readable(sock, until - monotonic())
        try:
            part = sock.recv(len(token) - len(said))
        except BlockingIOError:
            continue
        except OSError:
            break
        if not part:
            break
        said += part
    return secrets.compare_digest(said, token.encode())


async def _readable(sock: socket.socket, seconds: float) -> None:
    """Returns when there is something to read, or after so long. However it ends, the loop forgets the descriptor:
    a later socket may get the same number."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock.fileno(), readable.set)
    try:
        await asyncio.wait_for(readable.wait(), seconds)
    except asyncio.TimeoutError:
        pass
    finally:
        loop.remove_reader(sock.fileno())
