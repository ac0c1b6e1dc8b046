"""Files over HTTP: one request, and what its answer says of the file.

Through urllib: proxies, redirects and SSL_CERT_FILE as everywhere in Python. A name and password go to the host they
were given for, not to where it redirects.
"""

from __future__ import annotations

import base64
import re
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit

from inference_server import __version__
from inference_server.storage.source import Changed, Cut, SourceError
from inference_server.storage.sources.web_errors import web_error

PIECE = 1024 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_HEX = re.compile(r"[0-9a-fA-F]+")
_FAILURES = (OSError, HTTPException, ValueError)  # URLError is an OSError


@dataclass(frozen=True)
class Look:
    """What is known of a file before it is read."""

    size: int | None
    validator: str  # ETag, else Last-Modified, else ""
    ranged: bool
    name: str  # what the server calls it; "": it does not
    kind: str  # its media type
    md5: bytes = b""
    sha256: bytes = b""


@dataclass(frozen=True)
class WebFile:
    """One file at one address. Raises Cut, Changed, SourceError from every method."""

    address: str = field(repr=False)
    spoken: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # go to the first host only
    timeout: float | None = 30.0  # seconds without a byte
    access: str = "give the address one that has the right"

    def look(self) -> Look:
        """Ask for the first byte: a server that is asked with HEAD may refuse, or count otherwise."""
        try:
            with self._ask({"Range": "bytes=0-0"}) as answer:
                return _look(answer, self.spoken)
        except HTTPError as error:
            found = _CONTENT_RANGE.fullmatch(error.headers.get("Content-Range", ""))
            if error.code == 416 and found and found[3] == "0":  # an empty file has no first byte
                return Look(0, _validator(error.headers), True, "", error.headers.get_content_type())
            raise web_error(error, self.spoken, self.access) from None
        except _FAILURES as error:
            raise web_error(error, self.spoken, self.access) from None

    def read(
        self, start: int, stop: int | None, validator: str = "", size: int | None = None
    ) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, in pieces of at most a mebibyte."""
        headers = {}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        try:
            with self._ask(headers) as answer:
                at, total = _place(answer)
                if (validator and _validator(answer.headers) != validator) or (
                    size is not None and total is not None and total != size
                ):
                    raise Changed(f"{self.spoken} was changed while it was read")
                if at > start:
                    raise Cut(f"{self.spoken} sent another part than it was asked for")
                yield from self._pieces(answer, start - at, None if stop is None else stop - start)
        except _FAILURES as error:
            raise web_error(error, self.spoken, self.access) from None

    def _pieces(self, answer: HTTPResponse, skip: int, wanted: int | None) -> Iterator[bytes]:
        """The body without its first `skip` bytes (a server that ignores ranges), at most `wanted`."""
        expected = answer.length
        came = given = 0
        while wanted is None or given < wanted:
            most = (
                PIECE
                if wanted is None
                else min(PIECE, skip - came + wanted if came < skip else wanted - given)
            )
            piece = answer.read(min(PIECE, most))
            if not piece:
                if expected is not None and came < expected:
                    raise Cut(f"{self.spoken} broke off after {came} of {expected} bytes")
                return
            before, came = came, came + len(piece)
            if before < skip:
                piece = piece[skip - before :]
            if piece:
                given += len(piece)
                yield piece

    def _ask(self, headers: Mapping[str, str]) -> HTTPResponse:
        request = urllib.request.Request(
            self.address,
            headers={
                "User-Agent": f"azmlinfsrv/{__version__}",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                **headers,
            },
        )
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        handlers: list[urllib.request.BaseHandler] = [_Redirects()]
        if self.address.lower().startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
        answer: HTTPResponse = urllib.request.build_opener(*handlers).open(request, timeout=self.timeout)
        return answer


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Also 308, which Python knows since 3.11; never from https to http; secrets stay with their host."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if (old.scheme, new.scheme) == ("https", "http"):
            raise SourceError(
                f"https://{req.host} redirects to http://{new.hostname}: not followed, it is not secure"
            )
        following = super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)
        if following is not None and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            following.unredirected_hdrs.update(
                {
                    name: value
                    for name, value in req.unredirected_hdrs.items()
                    if name not in ("Host", "Cookie")
                }
            )
        return following

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def _place(answer: HTTPResponse) -> tuple[int, int | None]:
    """Where the body begins in the file, and how long the file is; None: not said."""
    found = (
        _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "")) if answer.status == 206 else None
    )
    if found is None:
        return 0, answer.length
    return int(found[1] or 0), None if found[3] == "*" else int(found[3])


def _look(answer: HTTPResponse, spoken: str) -> Look:
    headers = answer.headers
    name = headers.get_filename() or ""
    encoding = headers.get("Content-Encoding", "identity").lower()
    # Some servers call what lies there compressed an encoding: then the name says so too.
    if encoding not in ("identity", "", "none") and not urlsplit(spoken).path.lower().endswith(
        (".gz", ".tgz", ".zst", ".br")
    ):
        raise SourceError(
            f"{spoken} is sent as {encoding} though the plain file was asked for: give another address"
        )
    _, size = _place(answer)
    md5, sha256 = _checksums(headers, whole=answer.status != 206)
    return Look(
        size, _validator(headers), answer.status == 206, name, headers.get_content_type(), md5, sha256
    )


def _validator(headers: Message) -> str:
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")


def _checksums(headers: Message, whole: bool) -> tuple[bytes, bytes]:
    """MD5 and SHA-256 of the whole file, as far as headers say them; b"": they do not."""
    md5 = _hex(headers.get("X-Checksum-Md5"), 16) or _base64(headers.get("x-ms-blob-content-md5"), 16)
    sha256 = _hex(headers.get("X-Checksum-Sha256"), 32)
    if whole:  # in a partial answer these are of the part
        md5 = md5 or _base64(headers.get("Content-MD5"), 16)
    said = [*headers.get_all("Repr-Digest", []), *headers.get_all("Digest", [])]
    if headers.get("x-goog-stored-content-encoding", "") == "identity":
        said += headers.get_all("x-goog-hash", [])
    for word in ",".join(said).split(","):
        kind, _, value = word.strip().partition("=")
        if kind.lower() == "sha-256":
            sha256 = sha256 or _base64(value.strip(":"), 32)
        elif kind.lower() == "md5":
            md5 = md5 or _base64(value.strip(":"), 16)
    return md5, sha256


def _hex(text: str | None, length: int) -> bytes:
    return bytes.fromhex(text) if text and len(text) == 2 * length and _HEX.fullmatch(text) else b""


def _base64(text: str | None, length: int) -> bytes:
    try:
        value = base64.b64decode(text or "", validate=True)
    except ValueError:
        return b""
    return value if len(value) == length else b""
