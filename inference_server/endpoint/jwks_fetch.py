"""Fetches an issuer's keys over HTTP(S), in a thread: its OpenID configuration says where they are."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from inference_server.endpoint.errors import BadArgument

TIMEOUT = 5.0  # seconds for each step of each of the two requests
MOST_BYTES = 1 << 20
CONFIGURATION = "/.well-known/openid-configuration"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keys come from where the operator said, and from nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class IssuerKeys:
    """Calling it gives the JWKS document of an issuer: that at `jwks_uri`, else where its configuration says.

    Raises ValueError or OSError with one line that names the address.
    """

    def __init__(self, issuer: str, jwks_uri: str = "") -> None:
        """Raises BadArgument for an address that is neither https nor of this machine."""
        for what, address in (("issuer", issuer), ("jwks_uri", jwks_uri)):
            if address and not _safe(address):
                raise BadArgument(
                    f"{what}: {address!r} must begin with https://, as nobody else vouches for it"
                )
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._opener = urllib.request.build_opener(_NoRedirects)

    async def __call__(self) -> object:
        return await asyncio.to_thread(self._fetch)

    def _fetch(self) -> object:
        return self._get(self._jwks_uri or self._discovered())

    def _discovered(self) -> str:
        where = self._issuer.rstrip("/") + CONFIGURATION
        configuration = self._get(where)
        if not isinstance(configuration, dict) or configuration.get("issuer") != self._issuer:
            raise ValueError(f"{where} is not the configuration of the issuer {self._issuer}")
        uri = configuration.get("jwks_uri")
        if not isinstance(uri, str) or not _safe(uri):
            raise ValueError(f"{where} names no jwks_uri that begins with https://")
        return uri

    def _get(self, address: str) -> object:
        try:
            with self._opener.open(address, timeout=TIMEOUT) as answer:
                content = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise ValueError(f"{address} answered {error.code}") from None
        except OSError as error:
            raise ValueError(f"{address} cannot be read: {getattr(error, 'reason', error)}") from None
        if len(content) > MOST_BYTES:
            raise ValueError(f"{address} sent more than {MOST_BYTES} bytes")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise ValueError(f"{address} did not send JSON") from None


def _safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    except ValueError:
        return False
