"""Access tokens from the identity of this machine or container: App Service, the older MSI form, and IMDS.

    IDENTITY_ENDPOINT, IDENTITY_HEADER   App Service, Functions, Container Apps, Azure ML
    MSI_ENDPOINT, MSI_SECRET             their older form
    AZURE_POD_IDENTITY_AUTHORITY_HOST    another address of IMDS, which virtual machines and AKS nodes have

AZURE_CLIENT_ID chooses a user assigned identity; without it the system assigned one is asked for.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from inference_server.storage.opening import Opening
from inference_server.storage.source import Cut, SourceError

IMDS = "http://169.254.169.254"
TOKEN_PATH = "/metadata/identity/oauth2/token"
STORAGE = "https://storage.azure.com/"
_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_UNSAID = timedelta(minutes=10)  # for how long a token that does not say so is taken as good
_DIRECT = urllib.request.build_opener(
    urllib.request.ProxyHandler({})
)  # these addresses are never behind a proxy


@dataclass(frozen=True)
class ManagedIdentity:
    """Where the token is asked for, and how."""

    spoken: str
    endpoint: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    timeout: float  # seconds

    def token(self, failure: list[SourceError]) -> dict[str, Any]:
        """A token and when it expires, as obstore wants it; why there is none is left in `failure`."""
        failure.clear()
        try:
            return self._ask()
        except SourceError as error:
            failure.append(error)
            raise

    def _ask(self) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.endpoint}?{urlencode(self.query)}", headers=dict(self.headers)
        )
        try:
            with _DIRECT.open(request, timeout=self.timeout) as answer:
                said = json.loads(answer.read(1024 * 1024))
            return {"token": str(said["access_token"]), "expires_at": _expiry(said)}
        except HTTPError as error:
            if error.code in (404, 410, 429) or error.code >= 500:  # IMDS is asked again for these
                raise Cut(f"{self.spoken}: its endpoint answers {error.code} for now") from None
            raise SourceError(
                f"{self.spoken}: its endpoint refuses a token ({error.code}): see that the identity is assigned to "
                "this machine, and AZURE_CLIENT_ID when it is a user assigned one"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise SourceError(f"{self.spoken}: what its endpoint answers is no token") from None
        except (OSError, HTTPException):
            raise Cut(f"{self.spoken}: its endpoint cannot be reached") from None


def managed_identity(opening: Opening, resource: str = STORAGE) -> ManagedIdentity | None:
    """The identity of this machine, None where it has none."""
    client = opening.get("AZURE_CLIENT_ID")
    whose = (
        f"the user assigned managed identity {client}" if client else "the system assigned managed identity"
    )
    timeout = min(_SECONDS, opening.stall_seconds or _SECONDS)

    def asked(endpoint: str, version: str, id_name: str, headers: Mapping[str, str]) -> ManagedIdentity:
        query = {"api-version": version, "resource": resource, **({id_name: client} if client else {})}
        return ManagedIdentity(whose, endpoint, query, {"Metadata": "true", **headers}, timeout)

    if opening.given("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        header = {"X-IDENTITY-HEADER": opening.get("IDENTITY_HEADER")}
        return asked(opening.get("IDENTITY_ENDPOINT"), "2019-08-01", "client_id", header)
    if opening.given("MSI_ENDPOINT"):
        return asked(
            opening.get("MSI_ENDPOINT"), "2017-09-01", "clientid", {"secret": opening.get("MSI_SECRET")}
        )
    endpoint = (opening.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or IMDS).rstrip("/") + TOKEN_PATH
    return asked(endpoint, "2018-02-01", "client_id", {}) if _answers(endpoint) else None


def _answers(endpoint: str) -> bool:
    """Whether IMDS is there: it refuses, with 400, a request that lacks its header."""
    try:
        with _DIRECT.open(endpoint, timeout=_LOOK_SECONDS):
            return True
    except HTTPError as error:
        return error.code != 403  # what proxies and desktop engines answer in its place
    except (OSError, HTTPException, ValueError):
        return False


def _expiry(said: Mapping[str, Any]) -> datetime:
    now = datetime.now(timezone.utc)
    try:
        if "expires_on" in said:
            return datetime.fromtimestamp(int(said["expires_on"]), timezone.utc)
        return now + timedelta(seconds=int(said["expires_in"]))
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return now + _UNSAID
