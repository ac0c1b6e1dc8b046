"""Cross-origin headers, as the setting `AML_CORS_ORIGINS` asks for them.

An entry is a literal origin (case is ignored), a pattern when it holds a character that only patterns use, or `*`.
A pattern is matched from the start of the origin and need not reach its end: close it with `$`.

| request                             | headers                                                      |
| ----------------------------------- | ------------------------------------------------------------ |
| allowed Origin                      | Allow-Origin: that origin; Vary: Origin                      |
| no Origin                           | Allow-Origin: `*`, or the first literal in alphabetic order  |
| other Origin, or a method refused   | none                                                         |
| a preflight that asks for GET, POST | also Allow-Methods, and Allow-Headers: the ones it asked for |

Credentials are never allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from inference_server.errors import SettingsError

METHODS = ("GET", "POST")
_SERVED = frozenset(("GET", "HEAD", "POST", "OPTIONS"))  # by some route; the answer to others is a plain 405
_PATTERN_CHARACTERS = frozenset("*\\]?$^[()")
_ALLOW_METHODS = b"Access-Control-Allow-Methods: %b\r\n" % ", ".join(METHODS).encode()


class Cors:
    """The policy of one server, compiled from the setting. Empty setting: off. Raises SettingsError."""

    def __init__(self, setting: str | None) -> None:
        entries = [entry for part in (setting or "").split(",") if (entry := part.strip())]
        self.on = bool(entries)
        self._any = "*" in entries
        self._literals = frozenset(entry.casefold() for entry in entries if not _is_pattern(entry))
        self._patterns = [_compiled(entry) for entry in entries if entry != "*" and _is_pattern(entry)]
        first = "*" if self._any else min((entry for entry in entries if not _is_pattern(entry)), default="")
        self._without_origin = (
            _allow(first.encode("latin-1", "replace"), vary=not self._any) if first else b""
        )

    def lines(self, method: str, get: Callable[[bytes], bytes | None]) -> bytes:
        """The header lines for a request, each ended by CRLF; `get` reads a header by its lower-case name."""
        if not self.on or method not in _SERVED:
            return b""
        origin = get(b"origin")
        if not origin:
            lines = self._without_origin
        elif self._allows(origin.decode("latin-1")):
            lines = _allow(origin, vary=True)
        else:
            return b""
        return lines + _preflight(get) if lines and method == "OPTIONS" else lines

    def _allows(self, origin: str) -> bool:
        return (
            self._any or origin.casefold() in self._literals or any(p.match(origin) for p in self._patterns)
        )


def _is_pattern(entry: str) -> bool:
    return not _PATTERN_CHARACTERS.isdisjoint(entry)


def _compiled(entry: str) -> re.Pattern[str]:
    try:
        return re.compile(entry, re.IGNORECASE)
    except re.error as error:
        raise SettingsError(
            f"AML_CORS_ORIGINS (--access_control_allow_origins): {entry!r} looks like a pattern but is no regular "
            f"expression ({error}). Write an origin such as https://www.example.com, * for all, or a correct "
            r"expression such as https://.*\.example\.com$."
        ) from None


def _allow(origin: bytes, vary: bool) -> bytes:
    return b"Access-Control-Allow-Origin: %b\r\n%b" % (origin, b"Vary: Origin\r\n" if vary else b"")


def _preflight(get: Callable[[bytes], bytes | None]) -> bytes:
    asked = get(b"access-control-request-method")
    if asked is None or asked.decode("latin-1").upper() not in METHODS:
        return b""
    names = sorted(
        filter(None, (name.strip() for name in (get(b"access-control-request-headers") or b"").split(b",")))
    )
    headers = b"Access-Control-Allow-Headers: %b\r\n" % b", ".join(names) if names else b""
    return headers + _ALLOW_METHODS
