"""A web server that misbehaves as told: it cuts, stalls, lies about lengths, changes its mind, redirects.

    with FlakyHttp() as server:
        page = server.put("/model.bin", content, faults=[Cut(after=1000), Status(503, retry_after=0)])
        fetch(server.url("/model.bin"))
        assert [seen.range for seen in server.seen] == [...]

Each answer to a GET uses up one fault of its page, in order; when none is left, the answers are right. A client that asks
for the first byte alone only looks what is there: that takes from `look_faults`.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

PIECE = 64 * 1024
LOOK = "bytes=0-0"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Cut:
    """The connection is closed after `after` bytes of this answer's body."""

    after: int = 0


@dataclass(frozen=True)
class Stall:
    """Nothing more is sent after `after` bytes of the body, until the client leaves or the server is closed."""

    after: int = 0


@dataclass(frozen=True)
class Status:
    """Another status, with a short body in place of the page's."""

    code: int
    retry_after: float | None = None
    body: bytes = b"not now"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Length:
    """Content-Length says `declared`, whatever is sent."""

    declared: int


@dataclass(frozen=True)
class Change:
    """From this answer on, the page is another one."""

    body: bytes
    etag: str = ""


@dataclass(frozen=True)
class NoRange:
    """This one answer ignores the request's Range."""


Fault = Cut | Stall | Status | Length | Change | NoRange | None  # None: this answer is right


@dataclass
class Page:
    """What lies at one path."""

    body: bytes
    etag: str = ""
    ranges: bool = True  # answers to a Range are partial; otherwise it is ignored
    chunked: bool = False  # sent in chunks, without a length
    sized: bool = True  # without: no length, the body ends with the connection
    headers: Mapping[str, str] = field(default_factory=dict)
    redirect: str = ""  # where to, in place of a body
    redirect_code: int = 302
    authorization: str = ""  # the header a request must carry; else 401
    faults: deque[Fault] = field(default_factory=deque)
    look_faults: deque[Fault] = field(default_factory=deque)
    pace: float = 0.0  # seconds between pieces of 64 KiB


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


class FlakyHttp:
    """The server, on a free port of the loopback; a context manager."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Page] = {}
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self._scheme = "https" if tls else "http"
        self._server = _Server(self)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def put(
        self,
        path: str,
        body: bytes = b"",
        *,
        faults: Iterable[Fault] = (),
        look_faults: Iterable[Fault] = (),
        **page: object,
    ) -> Page:
        """Lay a page at a path; the other arguments are those of `Page`."""
        made = Page(body, faults=deque(faults), look_faults=deque(look_faults), **page)  # type: ignore[arg-type]
        self.pages[path] = made
        return made

    def url(self, path: str, userinfo: str = "") -> str:
        """The address of a path."""
        return f"{self._scheme}://{userinfo}{'@' if userinfo else ''}127.0.0.1:{self.port}{path}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def requests(self, path: str) -> list[Seen]:
        """What was asked of one path, its query left out."""
        return [seen for seen in self.seen if seen.path.partition("?")[0] == path]

    def __enter__(self) -> FlakyHttp:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, owner: FlakyHttp) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the tests read `seen`."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_POST(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        owner = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.seen.append(
            Seen(self.command, self.path, headers, self.rfile.read(int(headers.get("content-length", 0))))
        )
        page = owner.pages.get(self.path.partition("?")[0])
        if page is None:
            return self._plain(404, b"no such page")
        if page.authorization and headers.get("authorization") != page.authorization:
            return self._plain(401, b"who are you?", {"WWW-Authenticate": "Basic"})
        faults = page.look_faults if headers.get("range") == LOOK else page.faults
        fault = faults.popleft() if faults and with_body else None
        if isinstance(fault, Change):
            page.body, page.etag = fault.body, fault.etag
        if isinstance(fault, Status):
            waits = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            return self._plain(fault.code, fault.body, {**waits, **fault.headers})
        if page.redirect:
            return self._plain(page.redirect_code, b"", {"Location": page.redirect})
        if "if-match" in headers and headers["if-match"] != page.etag:
            return self._plain(412, b"changed")
        asked = self._asked(page, fault, headers)
        if asked and asked[0] >= len(page.body):
            return self._plain(416, b"", {"Content-Range": f"bytes */{len(page.body)}"})
        self._head(page, fault, asked)
        if with_body:
            self._body(page, fault, page.body[slice(*asked)] if asked else page.body)
        return None

    def _plain(self, code: int, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _asked(self, page: Page, fault: Fault, headers: Mapping[str, str]) -> tuple[int, int] | None:
        """The range that is answered, its end left out; None: the whole page."""
        asked = _RANGE.fullmatch(headers.get("range", ""))
        changed = headers.get("if-range", page.etag) != page.etag
        if not asked or not page.ranges or changed or isinstance(fault, NoRange):
            return None
        total = len(page.body)
        return int(asked[1]), min(total, int(asked[2]) + 1) if asked[2] else total

    def _head(self, page: Page, fault: Fault, asked: tuple[int, int] | None) -> None:
        total = len(page.body)
        start, stop = asked or (0, total)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        if page.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if page.etag:
            self.send_header("ETag", page.etag)
        for name, value in page.headers.items():
            self.send_header(name, value)
        if page.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif page.sized:
            declared = fault.declared if isinstance(fault, Length) else stop - start
            self.send_header("Content-Length", str(declared))
        else:
            self.close_connection = True
        self.end_headers()

    def _body(self, page: Page, fault: Fault, body: bytes) -> None:
        ends = len(body)
        if isinstance(fault, (Cut, Stall)):
            ends = min(fault.after, len(body))
        for at in range(0, ends, PIECE):
            piece = body[at : min(at + PIECE, ends)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if page.chunked else piece)
            if page.pace:
                self.server.owner.closing.wait(page.pace)
        self.wfile.flush()
        if isinstance(fault, Stall):
            self.connection.settimeout(0.05)
            while not self.server.owner.closing.is_set() and self._client_is_there():
                pass
        if isinstance(fault, (Cut, Stall, Length)):
            self.close_connection = True
        elif page.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _client_is_there(self) -> bool:
        try:
            return bool(self.connection.recv(1))
        except TimeoutError:
            return True
        except OSError:
            return False
