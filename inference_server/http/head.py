"""A request's head: one compiled scan decides whether it is valid, one constructor derives all there is to know.

What is refused here never reaches a script: RequestRefused with 400, 413, 414, 417, 431, 501 or 505, always
with a close, because after an ambiguous head nobody knows where the next request begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from inference_server.errors import RequestRefused
from inference_server.http import diagnosis, grammar
from inference_server.http.identity import NAMES as ID_NAMES
from inference_server.http.identity import GivenIds, Identity, identify
from inference_server.http.limits import Limits

Headers = list[tuple[bytes, bytes]]

_METHODS = {name.encode(): name for name in ("GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE")}
_HAS_IDS = frozenset(ID_NAMES)
TIMING_HEADER = b"server-timing"  # in a request: the answer is to say where the time went
TIMEOUT_HEADER = b"x-ms-request-timeout-ms"  # until when, from its arrival, the caller wants an answer
_LENGTH_DIGITS = 18  # more is no length anybody could send, and int() of a huge text is slow


class RequestHead:
    """A valid request head. Never changed after it was made, so one may serve for many equal requests.

    Header names with an underscore are dropped, as gunicorn does: behind a gateway that writes `X_A` for `X-A`
    they could pass for somebody else's.
    """

    __slots__ = (
        "_fields",
        "_identity",
        "chunked",
        "content_length",
        "expect_continue",
        "given_ids",
        "headers",
        "is_score",
        "keep_alive",
        "method",
        "path",
        "plain",
        "query",
        "request_line",
        "target",
        "timed",
        "timeout_ms",
        "version",
    )

    def __init__(
        self, method: str, target: bytes, path: str, query: bytes, version: bytes, headers: Headers
    ) -> None:
        fields = dict(headers)
        if len(fields) != len(headers):
            fields = _joined(headers)
        self.method = method
        self.target = target  # as received
        self.path = path  # percent-decoded once, leading slashes merged, never with scheme or host
        self.query = query
        self.version = version
        self.request_line = b"%b %b %b" % (method.encode("latin-1"), target, version)
        self.headers = headers
        self._fields = fields
        self.is_score = path == "/score"
        self.timeout_ms = fields.get(TIMEOUT_HEADER)
        self.timed = TIMING_HEADER in fields
        self.given_ids = None if _HAS_IDS.isdisjoint(fields) else GivenIds(*map(fields.get, ID_NAMES))
        # Nothing but its body makes one request with this head different from another: a worker answers it.
        self.plain = self.given_ids is None and (method == "POST" or method == "GET")
        self._identity: Identity | None = None
        # How the body is framed and what becomes of the connection: known after `_frame`.
        self.content_length = 0
        self.chunked = False
        self.expect_continue = False
        self.keep_alive = True

    def get(self, name: bytes) -> bytes | None:
        """The value of a header by its lower-case name; repeated ones joined by a bare comma."""
        return self._fields.get(name)

    def identity(self) -> Identity:
        """The ids of a request with this head: always the same when it names its own, else new ones."""
        known = self._identity
        if known is not None:
            return known
        given = self.given_ids
        made = identify(given)
        if given is not None and given.request is not None:
            self._identity = made
        return made


def scan(head: bytes, limits: Limits) -> RequestHead:
    """Parse a whole head, its last CRLFCRLF included. Raises RequestRefused, and nothing else."""
    match = grammar.HEAD.fullmatch(head)
    if match is None:
        raise diagnosis.diagnose(head, limits)
    verb, target, minor, block = match.groups()
    if match.end(3) - match.start(1) > limits.request_line:
        raise diagnosis.line_too_long(limits)
    if len(block) > limits.field_size and max(map(len, block.split(b"\r\n"))) > limits.field_size:
        raise diagnosis.field_too_long(limits)
    if len(head) > limits.head_bytes:
        raise diagnosis.head_too_long(limits)
    pairs = grammar.FIELD.findall(block)
    if len(pairs) > limits.fields:
        raise diagnosis.too_many_fields(limits)
    if b" \r\n" in block or b"\t\r\n" in block:
        pairs = [(name, value.rstrip(b" \t")) for name, value in pairs]
    headers = [(name.lower(), value) for name, value in pairs]
    if b"_" in block:
        headers = [(name, value) for name, value in headers if b"_" not in name]
    path, query = _split(verb, target)
    version = b"HTTP/1.1" if minor == b"1" else b"HTTP/1.0"
    method = _METHODS.get(verb) or verb.decode("ascii")
    made = RequestHead(method, target, path, query, version, headers)
    _frame(made, limits)
    return made


class KnownHeads:
    """Reads heads, those that came before by looking them up: clients say the same again and again, but for the
    length of what they send. Heads with ids of their own come once and are not kept."""

    MOST = 1024
    LONGEST = 1024  # bytes of one that is kept

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: dict[bytes, RequestHead] = {}

    def read(self, head: bytes) -> RequestHead:
        """As `scan`."""
        known = self._kept.get(head)
        if known is None:
            known = scan(head, self._limits)
            if known.plain and len(head) <= self.LONGEST:
                if len(self._kept) >= self.MOST:
                    self._kept.clear()
                self._kept[head] = known
        return known


def from_scope(scope: Mapping[str, Any]) -> RequestHead:
    """The head of an ASGI HTTP scope; framing is the business of the server that made the scope."""
    headers: Headers = [(name.lower(), value) for name, value in scope["headers"] if b"_" not in name]
    query: bytes = scope.get("query_string", b"")
    path: str = scope["path"]
    target: bytes = scope.get("raw_path") or path.encode("utf-8", "surrogateescape")
    if query:
        target = target.partition(b"?")[0] + b"?" + query
    version = b"HTTP/" + str(scope.get("http_version", "1.1")).encode("ascii")
    root: str = scope.get("root_path", "")
    if path == root or path.startswith(root + "/"):
        path = path[len(root) :]
    return RequestHead(scope["method"], target, "/" + path.lstrip("/"), query, version, headers)


def _joined(headers: Headers) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b"," + value if name in fields else value
    return fields


def _split(verb: bytes, target: bytes) -> tuple[str, bytes]:
    """Path and query of a request target in origin, absolute or asterisk form."""
    raw, _, query = target.partition(b"?")
    if not raw.startswith(b"/"):
        if target == b"*" and verb == b"OPTIONS":
            return "*", b""
        absolute = grammar.ABSOLUTE.fullmatch(target)
        if absolute is None or not grammar.IS_HOST.fullmatch(absolute[1]):
            raise RequestRefused(400, "the request target is neither a path nor an http address")
        raw, query = absolute[2] or b"/", absolute[3] or b""
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    if raw.startswith(b"//"):
        raw = b"/" + raw.lstrip(b"/")
    return raw.decode("utf-8", "replace"), query


def _frame(head: RequestHead, limits: Limits) -> None:
    """Decide how the body is framed, and refuse what could be read in two ways."""
    fields = head._fields
    modern = head.version == b"HTTP/1.1"
    host = fields.get(b"host")
    if host is None:
        if modern:
            raise RequestRefused(400, "an HTTP/1.1 request needs a Host header")
    elif not grammar.IS_HOST.fullmatch(host):  # two of them are joined by a comma, which no host has
        raise RequestRefused(400, "malformed or repeated Host header")
    length = fields.get(b"content-length")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        _check_coding(coding, modern, length)
        head.chunked = True
    elif length is not None:
        if not length.isdigit() or len(length) > _LENGTH_DIGITS:
            raise RequestRefused(400, "malformed or repeated Content-Length header")
        head.content_length = int(length)
        if head.content_length > limits.body_bytes:
            raise RequestRefused(413, f"the request body is larger than {limits.body_bytes} bytes")
    expect = fields.get(b"expect")
    if expect is not None:
        if expect.lower() != b"100-continue":
            raise RequestRefused(417, "the only expectation this server meets is 100-continue")
        head.expect_continue = modern
    connection = fields.get(b"connection")
    if connection is None:
        head.keep_alive = modern
    else:
        options = [option.strip(b" \t") for option in connection.lower().split(b",")]
        head.keep_alive = b"close" not in options and (modern or b"keep-alive" in options)


def _check_coding(coding: bytes, modern: bool, length: bytes | None) -> None:
    """Only `Transfer-Encoding: chunked`, alone and in HTTP/1.1, says without doubt where a body ends."""
    if length is not None:
        raise RequestRefused(400, "both Content-Length and Transfer-Encoding")
    if not modern:
        raise RequestRefused(400, "Transfer-Encoding in an HTTP/1.0 request")
    lowered = coding.lower()
    if lowered == b"chunked":
        return
    codings = [part.strip(b" \t").partition(b";")[0] for part in lowered.split(b",")]
    if b"chunked" in codings[:-1] or not all(map(grammar.IS_NAME.fullmatch, codings)):
        raise RequestRefused(400, "malformed or repeated Transfer-Encoding header")
    raise RequestRefused(501, "the only transfer coding this server knows is chunked")
