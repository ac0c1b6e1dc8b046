"""Where requests go: an address that was looked up once, and how to speak to it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

ROUTE = "/score"  # of a URL that has no path
_PORTS = {"http": 80, "https": 443}
_REACH_SECONDS = 10.0


class BadTarget(Exception):
    """Nobody can be reached there; the text says why, and what to do."""


@dataclass(frozen=True)
class Address:
    """One socket address."""

    family: int
    name: tuple[Any, ...]  # as `socket.connect` takes it

    @property
    def local(self) -> bool:
        """Whether it is this machine's own loopback."""
        ip = ipaddress.ip_address(str(self.name[0]).partition("%")[0])
        return ip.is_loopback or ip.is_unspecified


@dataclass(frozen=True)
class Target:
    """One server and the path that is asked for."""

    url: str
    host: str  # the Host header
    path: str  # with its query
    addresses: tuple[Address, ...]  # the first one is used
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    @property
    def local(self) -> bool:
        """Whether nobody beyond this machine is asked."""
        return all(address.local for address in self.addresses)


def target(url: str, cacert: str = "", insecure: bool = False) -> Target:
    """What `url` names, with its addresses looked up; without a path it is the scoring route.

    `cacert`: a file of certificates to trust instead of the system's; `insecure`: trust anybody. Raises BadTarget.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or _PORTS[parts.scheme]
        host = parts.hostname or ""
    except (ValueError, KeyError):
        raise BadTarget(f"{url!r} is no address such as http://127.0.0.1:5001{ROUTE}") from None
    if not host or parts.port == 0:
        raise BadTarget(f"{url!r} is no address such as http://127.0.0.1:5001{ROUTE}")
    if parts.username is not None:
        raise BadTarget(
            f"a user's name or password does not belong into the address of {host}: send a header"
        )
    path = quote(parts.path or ROUTE, safe="/%:@!$&'()*+,;=~")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
    return Target(
        url=f"{parts.scheme}://{parts.netloc}{path}{query}",
        host=parts.netloc,
        path=path + query,
        addresses=_addresses(host, port),
        tls=_context(cacert, insecure) if parts.scheme == "https" else None,
        server_name=host,
    )


def _addresses(host: str, port: int) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BadTarget(f"no address is known for the host {host!r}") from None
    return tuple(Address(family, name) for family, _, _, _, name in found)


def _context(cacert: str, insecure: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=cacert or None)
    except (OSError, ssl.SSLError) as error:
        raise BadTarget(f"{cacert} holds no certificates that can be read ({error})") from None
    context.set_alpn_protocols(["http/1.1"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def reached(where: Target) -> Target:
    """`where` with the first of its addresses that takes a connection, for a name that has several. Raises BadTarget."""
    failed: OSError | None = None
    for address in where.addresses:
        try:
            with socket.create_connection(address.name[:2], _REACH_SECONDS):
                return replace(where, addresses=(address,))
        except OSError as error:
            failed = error
    raise BadTarget(f"no server answers at {where.url} ({said(failed)})")


def said(error: BaseException | None) -> str:
    """An error's own words, without its number."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "the certificate is not trusted"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if (
        isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode
    ):  # a name that is not known has a number of its own
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
