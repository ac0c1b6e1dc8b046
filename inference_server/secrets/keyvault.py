"""`${{keyvault:https://VAULT.vault.azure.net/secrets/NAME[/VERSION]}}`, read with Azure's own client.

Who asks is whoever azure-identity finds first: a service principal in AZURE_… variables, a workload identity, a
managed identity (AZURE_CLIENT_ID names a user-assigned one), or who is signed in with az.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Any
from urllib.parse import urlsplit

from inference_server.secrets.reference import KINDS, Unresolved
from inference_server.secrets.resolving import Found

CONNECT_SECONDS, READ_SECONDS, RETRIES = 5, 10, 2
_NEEDS = "Key Vault needs two libraries where the server runs: pip install 'azmlinfsrv[keyvault]'"
_TEXT_LENGTH = 300
# azure-identity lists all that it tried, most of which is not meant to be there
_TRIED = re.compile(r"^\s*(\w+Credential): (.+)$", re.MULTILINE)
_ABSENT = re.compile(r"unavailable|not found on path|not installed|could not be found|requires the")


class KeyVaults:
    """One client for each vault, one identity for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._credential: Any = None
        self._clients: dict[str, Any] = {}

    def read(self, place: str) -> Found:
        """Raises Unresolved."""
        vault, name, version = _parts(place)
        client = self._client(vault)
        from azure.core import exceptions

        try:
            text = client.get_secret(name, version).value
        except exceptions.ResourceNotFoundError as error:
            raise Unresolved(_absent(vault, version, error)) from None
        except exceptions.ClientAuthenticationError as error:
            raise Unresolved(_refused(vault, error)) from None
        except exceptions.HttpResponseError as error:
            raise Unresolved(_denied(vault, error)) from None
        except (exceptions.ServiceRequestError, exceptions.ServiceResponseError) as error:
            raise Unresolved(f"{vault} cannot be reached: {_one_line(error.message)}") from None
        except exceptions.AzureError as error:
            raise Unresolved(f"{vault}: {_one_line(error.message)}") from None
        except ValueError as error:  # the vault names another as the place to ask for a right
            raise Unresolved(f"{vault}: {_one_line(str(error))}") from None
        if not text:
            raise Unresolved("the secret is empty")
        return Found(text, (text,))

    def _client(self, vault: str) -> Any:
        try:
            from azure.identity import DefaultAzureCredential
            from azure.keyvault.secrets import SecretClient
        except ImportError:
            raise Unresolved(_NEEDS) from None
        with self._lock:
            if self._credential is None:
                # it says at length what it tried; the reason for the failure is in our own line
                logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
                self._credential = DefaultAzureCredential()
            if vault not in self._clients:
                self._clients[vault] = SecretClient(
                    vault,
                    self._credential,
                    retry_total=RETRIES,
                    connection_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                )
            return self._clients[vault]


def _parts(place: str) -> tuple[str, str, str | None]:
    """Address of the vault, name and version of the secret. Raises Unresolved."""
    url = urlsplit(place)
    path = url.path.strip("/").split("/")
    plain = (
        url.scheme == "https"
        and url.hostname
        and not (url.username or url.password or url.query or url.fragment)
    )
    if not plain or len(path) not in (2, 3) or path[0] != "secrets" or not all(path):
        raise Unresolved(f"write {KINDS['keyvault']}, and /VERSION after it for one version")
    return f"https://{url.netloc}", path[1], path[2] if len(path) == 3 else None


def _absent(vault: str, version: str | None, error: Any) -> str:
    if version is not None:
        return f"{vault} has no such version of the secret, or no such secret"
    return f"{vault} has no such secret{_said(error)}"


def _refused(vault: str, error: Any) -> str:
    """The identity cannot be had, or the vault does not know it."""
    if getattr(error, "status_code", None) == 401:
        return f"{vault} does not accept the identity{_said(error)}"
    tried = _TRIED.findall(str(error.message))
    spoke = [(name, text) for name, text in tried if not _ABSENT.search(text)]
    who, why = (spoke or tried or [("azure-identity", str(error.message))])[0]
    return (
        "no identity for Azure: give the machine a managed identity (AZURE_CLIENT_ID names one of several), set "
        "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or sign in with az login "
        f"({who}: {_one_line(why)})"
    )


def _denied(vault: str, error: Any) -> str:
    if error.status_code == 403:
        return (
            f"{vault} refuses it: the identity needs the role Key Vault Secrets User (or the access policy Get), the "
            f"secret must be enabled, and the vault's firewall must let this machine in{_said(error)}"
        )
    return f"{vault} answered {error.status_code or 'something else'}{_said(error)}"


def _said(error: Any) -> str:
    """What the vault itself said, in brackets."""
    inner = getattr(error, "error", None)
    text = " ".join(str(part) for part in (getattr(inner, "code", ""), getattr(inner, "message", "")) if part)
    return f" ({_one_line(text)})" if text else ""


def _one_line(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _TEXT_LENGTH else line[: _TEXT_LENGTH - 1] + "…"
