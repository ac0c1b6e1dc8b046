"""What an address says, and what of it may be said aloud."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from inference_server.storage.source import Entry, SourceError

_SUM = re.compile(r"#(?:sha256=(?P<sha256>[0-9a-fA-F]{64})|md5=(?P<md5>[0-9a-fA-F]{32}))$")
_SUM_OF_ANY_FORM = re.compile(r"#(?i:md5|sha-?[0-9]*)=[^#/]*$")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: C:\models is a path
# Of a query, what is a right to read and not part of what is read. A renewed right is the same address.
_RIGHT = re.compile(
    r"(?i)x-(amz|goog|ms)-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|s[vegtripsk]|sig|spr|ss|srt|skoid|sktid|skt|ske|sks|skv|saoid|suoid|scid|sdd|ses"
    r"|.*(token|key|secret|pass|auth|cred|sig).*"
)


@dataclass(frozen=True)
class Checksum:
    """What the operator says the one file must be: `#sha256=…` or `#md5=…` at the end of its address."""

    sha256: bytes = b""
    md5: bytes = b""

    def on(self, entry: Entry) -> Entry:
        """The entry with this checksum, which goes before the store's own."""
        return replace(entry, sha256=self.sha256 or entry.sha256, md5=self.md5 or entry.md5)


def checksum(address: str) -> tuple[str, Checksum]:
    """The address without the checksum at its end, and the checksum.

    Raises SourceError for one that cannot be checked: left out in silence, it would pass for one that was.
    """
    match = _SUM.search(address)
    if match is None:
        if wrong := _SUM_OF_ANY_FORM.search(address):
            raise SourceError(
                f"{printable(wrong[0])} is no checksum: #sha256= and 64 hexadecimal digits, or #md5= and 32, are"
            )
        return address, Checksum()
    sha256, md5 = match["sha256"] or "", match["md5"] or ""
    return address[: match.start()], Checksum(bytes.fromhex(sha256), bytes.fromhex(md5))


def scheme(address: str) -> str:
    """The scheme in lower case; "" for a path."""
    match = _SCHEME.match(address)
    return match[1].lower() if match else ""


def split(address: str) -> SplitResult:
    """The parts of an address. Raises SourceError, without its secrets, when it is none."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise SourceError(
            f"an address of the form {scheme(address)}:… cannot be read: see its host and port"
        ) from None
    return parts


def host(parts: SplitResult) -> str:
    """Host and port, without a user's name and password."""
    return parts.netloc.rpartition("@")[2]


def spoken(address: str) -> str:
    """The address without name, password, query and fragment.

    A query that is more than a right to read decides what is read: ten digits of its checksum stand for it.
    """
    parts = split(address)
    bare = printable(urlunsplit((parts.scheme.lower(), host(parts), parts.path, "", "")))
    asked = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not _RIGHT.fullmatch(name)
    ]
    return f"{bare}?…{hashlib.sha256(repr(asked).encode()).hexdigest()[:10]}" if asked else bare


def printable(text: str) -> str:
    """A text that stays on its line of the log."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def last(path: str) -> str:
    """The last element of a path."""
    return path.rstrip("/").rpartition("/")[2]
