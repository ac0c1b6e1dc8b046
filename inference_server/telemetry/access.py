"""The lines every request leaves in the log, formatted for next to nothing.

A scoring request leaves two, any other request the second one only:

    2026-01-31 09:15:02,417 I [4711] azmlinfsrv - POST /score 200 3.142ms 12
    2026-01-31 09:15:02,417 I [4711] gunicorn.access - 127.0.0.1 - - [31/Jan/2026:10:15:02 +0100]
        "POST /score HTTP/1.1" 200 12 "-" "curl/8.5.0"                                   (one line)

Two calls of the logging module cost some 40 µs a request, these lines 1.5. `AccessLog` keeps the text
until the end of the event loop's turn and writes once. A custom logging.json may want these lines as
records: `LoggedAccess` has the same shape over real loggers.
"""

from __future__ import annotations

import logging
import re
import time
from typing import NamedTuple, Protocol

from inference_server.scoring.logs import HEALTH_PROBE, SERVER, level_number
from inference_server.telemetry.output import Writer

ACCESS = "gunicorn.access"
COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
_UNSAFE = re.compile('[\x00-\x1f"\\\\\x7f-\xff]')


class About(NamedTuple):
    """What the lines of all requests alike have in common, as text that is safe in a log."""

    host: str
    asked: str  # method and target
    request: str  # the whole request line
    referer: str
    agent: str
    shown: bool  # False: a health probe, which has no access line


def about(host: str, request_line: bytes, referer: bytes, agent: bytes) -> About:
    """`host` is the client's address; `request_line` is `METHOD target HTTP/1.1` as received.

    Worth keeping for as long as a connection brings the same head.
    """
    request, referer_text, agent_text = _safe(request_line), _safe(referer) or "-", _safe(agent) or "-"
    shown = not (HEALTH_PROBE in request or HEALTH_PROBE in referer_text or HEALTH_PROBE in agent_text)
    return About(host or "-", request.rpartition(" ")[0], request, referer_text, agent_text, shown)


class Access(Protocol):
    """What a protocol does with a request that was answered."""

    def record(
        self, about: About, status: int, length: int | None, duration_ms: float, scored: bool, sent: int = 0
    ) -> bool:
        """Note one answered request.

        `length` is the body's length in bytes, None when it was streamed (`sent` then says how much of it was
        sent); `scored` asks for the first of the two lines: a request for anything but `/` that was routed.
        True when a `flush()` is now due that was not before.
        """

    def flush(self) -> None:
        """Write what was noted; once per turn of the event loop."""


class AccessLog:
    """The default lines, straight to `writer`. `pid` is the process the lines name.

    A request costs one tuple when it is answered; the text of a turn is made at its end, under one time.
    """

    def __init__(self, writer: Writer, pid: int) -> None:
        self._writer = writer
        self._names = (f" I [{pid}] {SERVER} - ", f" I [{pid}] {ACCESS} - ")
        self._noted: list[tuple[About, int, int | None, float, bool, int]] = []
        self._second = -1
        self._date = self._clock = ""  # of this second

    def record(
        self, about: About, status: int, length: int | None, duration_ms: float, scored: bool, sent: int = 0
    ) -> bool:
        """See `Access.record`."""
        noted = self._noted
        noted.append((about, status, length, duration_ms, scored, sent))
        return len(noted) == 1

    def flush(self) -> None:
        """See `Access.flush`."""
        now = int(time.time() * 1000)
        second = now // 1000
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            self._clock = _clock(second)
        stamp = f"{self._date},{now % 1000:03d}"
        server, access, clock = stamp + self._names[0], stamp + self._names[1], self._clock
        lines = []
        for (host, asked, request, referer, agent, shown), status, length, ms, scored, sent in self._noted:
            if scored:
                lines.append(f"{server}{asked} {status} {ms:.3f}ms {'N/A' if length is None else length}\n")
            if shown:
                size = sent if length is None else length
                lines.append(
                    f'{access}{host} - - {clock} "{request}" {status} {size} "{referer}" "{agent}"\n'
                )
        self._noted.clear()
        if lines:
            self._writer.write("".join(lines).encode())


class LoggedAccess:
    """The same lines as records of the logging module, for a custom logging.json.

    The access record's arguments are a dictionary of the usual access log atoms (h, l, u, t, r, m, U, q, H,
    s, B, b, f, a, D, M, T, L, p), so that a JSON formatter can pick them.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._server = logging.getLogger(SERVER)
        self._access = logging.getLogger(ACCESS)

    def record(
        self, about: About, status: int, length: int | None, duration_ms: float, scored: bool, sent: int = 0
    ) -> bool:
        """See `Access.record`."""
        if scored:
            size = "N/A" if length is None else length
            self._server.info("%s %d %.3fms %s", about.asked, status, duration_ms, size)
        if self._access.isEnabledFor(logging.INFO):
            method, _, target = about.asked.partition(" ")
            path, _, query = target.partition("?")
            version = about.request.rpartition(" ")[2]
            size = sent if length is None else length
            atoms = {"h": about.host, "l": "-", "u": "-", "t": _clock(int(time.time())), "r": about.request}
            atoms |= {"m": method, "U": path, "q": query, "H": version, "s": str(status), "B": str(size)}
            atoms |= {"b": str(size), "f": about.referer, "a": about.agent}
            atoms |= {"D": str(int(duration_ms * 1000)), "M": str(int(duration_ms)), "p": f"<{self._pid}>"}
            atoms |= {"T": str(int(duration_ms / 1000)), "L": f"{duration_ms / 1000:.6f}"}
            self._access.info(COMBINED, atoms)
        return False

    def flush(self) -> None:
        """Records are written one by one."""


class NoAccess:
    """For a log level above INFO, which these lines have: nothing is noted."""

    def record(
        self, about: About, status: int, length: int | None, duration_ms: float, scored: bool, sent: int = 0
    ) -> bool:
        """See `Access.record`."""
        return False

    def flush(self) -> None:
        """There is nothing."""


def open_access(logging_config: str | None, level: str, writer: Writer, pid: int) -> Access:
    """The access log that fits the settings; `level` is AZUREML_LOG_LEVEL, which a logging.json replaces."""
    if logging_config:
        return LoggedAccess(pid)
    if level_number(level) > logging.INFO:
        return NoAccess()
    return AccessLog(writer, pid)


def _safe(data: bytes) -> str:
    """Bytes of a request as text of a log line: quotes, backslashes and all that is not ASCII are escaped."""
    text = data.decode("latin-1")
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda found: _ESCAPES.get(found.group()) or f"\\x{ord(found.group()):02x}", text)


_ESCAPES = {'"': '\\"', "\\": "\\\\"}


def _clock(second: int) -> str:
    """The time of an access line: local, with its offset."""
    return time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime(second))
