"""`http://…` and `https://…`: one file."""

from __future__ import annotations

import base64
import netrc
import os
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, unquote, urlunsplit

from inference_server.storage.opening import Opening
from inference_server.storage.source import Buffer, Entry, SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.web import WebFile

_NAMELESS = "download"
_ACCESS = "give the address a name and password (https://NAME:PASSWORD@HOST/…), a line in ~/.netrc, or the token it asks for"


class HttpSource:
    """The file at an address. What it is called: the address's last element, or what the server says."""

    is_folder = False

    def __init__(self, address: str, opening: Opening) -> None:
        parts = addresses.split(address)
        if not parts.hostname:
            raise SourceError(
                f"{addresses.spoken(address)} names no host: http://HOST/PATH is what it looks like"
            )
        self.spoken = addresses.spoken(address)
        self.name = addresses.last(unquote(parts.path)) or _NAMELESS
        self.ranged = False
        query = quote(parts.query, safe="%/:=&?~#+!$,;'@()*[]")
        self._file = WebFile(
            urlunsplit(
                (
                    parts.scheme,
                    addresses.host(parts),
                    quote(parts.path or "/", safe="%/:=&~+!$,;'@()*[]"),
                    query,
                    "",
                )
            ),
            self.spoken,
            _authorization(parts.username, parts.password, parts.hostname, opening),
            opening.stall_seconds,
            _ACCESS,
        )

    def entries(self) -> Sequence[Entry]:
        """The one file."""
        look = self._file.look()
        self.ranged = look.ranged
        if "." not in self.name:
            self.name = _harmless(look.name) or self.name
        if look.kind == "text/html" and not self.name.lower().endswith((".html", ".htm")):
            raise SourceError(
                f"{self.spoken} is a web page, not a file: it may ask to sign in. {_ACCESS.capitalize()}"
            )
        return [Entry(self.name, look.size, look.validator, look.md5, look.sha256)]

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`."""
        return self._file.read(start, stop, entry.etag, entry.size)

    def close(self) -> None:
        """Nothing stays open between requests."""


def _harmless(name: str) -> str:
    """The last element of a name that a server gave."""
    last = name.replace("\\", "/").rpartition("/")[2].strip()
    return addresses.printable(last) if last not in (".", "..") else ""


def _authorization(name: str | None, password: str | None, host: str, opening: Opening) -> Mapping[str, str]:
    """Name and password of the address, else of ~/.netrc."""
    if name is None and password is None:
        name, password = _netrc(host, opening)
    if not name and not password:
        return {}
    pair = f"{unquote(name or '')}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _netrc(host: str, opening: Opening) -> tuple[str | None, str | None]:
    path = opening.get("NETRC") or os.path.join(opening.get("HOME", "USERPROFILE"), ".netrc")
    try:
        found = netrc.netrc(path).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None, None
    return (quote(found[0]), quote(found[2] or "")) if found else (None, None)
