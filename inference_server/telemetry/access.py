"""The lines every request leaves in the log, formatted for next to nothing.

A scoring request leaves two, any other request the second one only:

    2026-01-31 09:15:02,417 I [4711] azmlinfsrv - POST /score 200 3.142ms 12
    2026-01-31 09:15:02,417 I [4711] gunicorn.access - 127.0.0.1 - - [31/Jan/2026:10:15:02 +0100]
        "POST /score HTTP/1.1" 200 12 "-" "curl/8.5.0"                                   (one line)

Two calls of the logging module cost some 40 µs a request, these lines less than one: they are made at the end
of the event loop's turn, of what the ledger holds, and what they share is formatted once. A custom logging.json
may want these lines as records: `LoggedAccess` has the same shape over real loggers.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from inference_server.messages import Answer, ScoringRequest
from inference_server.scoring.logs import HEALTH_PROBE, SERVER, level_number
from inference_server.telemetry.output import Writer

ACCESS = "gunicorn.access"
COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
KEPT_BYTES = 1024  # of a head that is kept
_UNSAFE = re.compile('[\x00-\x1f"\\\\\x7f-\xff]')


class About(NamedTuple):
    """What the lines of all requests alike have in common, as text that is safe in a log."""

    host: str
    asked: str  # method and target
    request: str  # the whole request line
    referer: str
    agent: str
    shown: bool  # False: a health probe, which has no access line


# What an answered request leaves behind. A plain tuple: one is made per request.
Entry = tuple[
    About,
    int,  # status
    int | None,  # the body's length in bytes; None when it was streamed
    int,  # bytes of a streamed body that were sent
    bool,  # whether it has the first of the two lines: a request for anything but `/` that was routed
    float,  # seconds from its arrival to its answer
    int,  # bytes sent, the head included
    ScoringRequest | None,
    Answer | None,  # None: not a request of the scoring route
    float,  # seconds of these that its answer was rendered and written
]


def about(host: str, request_line: bytes, referer: bytes, agent: bytes) -> About:
    """`host` is the client's address; `request_line` is `METHOD target HTTP/1.1` as received."""
    short = len(request_line) + len(referer) + len(agent) <= KEPT_BYTES
    return (_kept if short else _made)(host, request_line, referer, agent)


def _made(host: str, request_line: bytes, referer: bytes, agent: bytes) -> About:
    request, referer_text, agent_text = _safe(request_line), _safe(referer) or "-", _safe(agent) or "-"
    shown = not (HEALTH_PROBE in request or HEALTH_PROBE in referer_text or HEALTH_PROBE in agent_text)
    return About(host or "-", request.rpartition(" ")[0], request, referer_text, agent_text, shown)


_kept = lru_cache(maxsize=1024)(_made)  # clients send the same head again and again, over many connections


class Access(Protocol):
    """What becomes of the requests that were answered in one turn of the event loop."""

    def write(self, entries: Sequence[Entry]) -> None: ...


class AccessLog:
    """The default lines, straight to `writer`. `pid` is the process the lines name.

    All lines of a turn have one time. Requests alike, one after the other, differ in duration and length only: the
    text around these is kept from one to the next.
    """

    def __init__(self, writer: Writer, pid: int) -> None:
        self._writer = writer
        self._names = (f" I [{pid}] {SERVER} - ", f" I [{pid}] {ACCESS} - ")
        self._second = -1
        self._date = self._clock = ""  # of this second

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Access.write`."""
        now = int(time.time() * 1000)
        second = now // 1000
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            self._clock = _clock(second)
        stamp = f"{self._date},{now % 1000:03d}"
        lines = []
        alike: tuple[object, ...] = ()
        for about, status, length, sent, scored, seconds, *_ in entries:
            if alike != (about, status, scored):
                alike = (about, status, scored)
                before, between, after = self._around(about, status, scored, stamp)
            size = sent if length is None else length
            if before:
                shown = "N/A" if length is None else length
                lines.append(f"{before}{seconds * 1000:.3f}ms {shown}\n")
            if between:
                lines.append(f"{between}{size}{after}")
        text = "".join(lines)
        if text:
            self._writer.write(text.encode())

    def _around(self, about: About, status: int, scored: bool, stamp: str) -> tuple[str, str, str]:
        """What stands before the duration, before the length and after it; empty for a line that is not written."""
        before = f"{stamp}{self._names[0]}{about.asked} {status} " if scored else ""
        if not about.shown:
            return before, "", ""
        between = f'{stamp}{self._names[1]}{about.host} - - {self._clock} "{about.request}" {status} '
        return before, between, f' "{about.referer}" "{about.agent}"\n'


class LoggedAccess:
    """The same lines as records of the logging module, for a custom logging.json.

    The access record's arguments are a dictionary of the usual access log atoms (h, l, u, t, r, m, U, q, H,
    s, B, b, f, a, D, M, T, L, p), so that a JSON formatter can pick them.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._server = logging.getLogger(SERVER)
        self._access = logging.getLogger(ACCESS)

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Access.write`."""
        for about, status, length, sent, scored, seconds, *_ in entries:
            if scored:
                shown = "N/A" if length is None else length
                self._server.info("%s %d %.3fms %s", about.asked, status, seconds * 1000, shown)
            if self._access.isEnabledFor(logging.INFO):
                self._access.info(
                    COMBINED, self._atoms(about, status, sent if length is None else length, seconds)
                )

    def _atoms(self, about: About, status: int, size: int, seconds: float) -> dict[str, str]:
        method, _, target = about.asked.partition(" ")
        path, _, query = target.partition("?")
        version = about.request.rpartition(" ")[2]
        atoms = {"h": about.host, "l": "-", "u": "-", "t": _clock(int(time.time())), "r": about.request}
        atoms |= {"m": method, "U": path, "q": query, "H": version, "s": str(status), "B": str(size)}
        atoms |= {"b": str(size), "f": about.referer, "a": about.agent}
        atoms |= {"D": str(int(seconds * 1e6)), "M": str(int(seconds * 1000)), "p": f"<{self._pid}>"}
        return atoms | {"T": str(int(seconds)), "L": f"{seconds:.6f}"}


class NoAccess:
    """For a log level above INFO, which these lines have."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Nothing is written."""


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
