"""Which credential an Azure storage account is read with."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from urllib.parse import parse_qs, urlsplit

from inference_server.storage.credentials.credential import Credential, nobody
from inference_server.storage.credentials.managed_identity import managed_identity
from inference_server.storage.opening import Opening, plain_endpoint
from inference_server.storage.source import SourceError

EMULATOR = "devstoreaccount1"
# Azurite's account and key are the same everywhere and written in its documentation.
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
EMULATOR_ENDPOINT = f"http://127.0.0.1:10000/{EMULATOR}"
_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_SAS = ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY")
_KEY = ("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY")
_ACCOUNT = ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
_ENDPOINT = ("AZURE_STORAGE_BLOB_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
LOOKED_FOR = (
    f"a SAS in the address, {_CONNECTION}, {_SAS[0]}, {_KEY[0]}, AZURE_CLIENT_ID with AZURE_TENANT_ID and "
    "AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, a managed identity (IDENTITY_ENDPOINT, MSI_ENDPOINT, IMDS), "
    "a login of az"
)


@dataclass(frozen=True)
class Account:
    """The storage account that the environment names, with what it says of it."""

    name: str = ""
    endpoint: str = ""  # of its blobs
    key: str = field(default="", repr=False)  # of the connection string
    sas: str = field(default="", repr=False)


def account(opening: Opening) -> Account:
    """The account of the environment: of AZURE_STORAGE_CONNECTION_STRING, else of the variables for its parts."""
    text = opening.get(_CONNECTION)
    if not text:
        return Account(opening.get(*_ACCOUNT), opening.endpoint(*_ENDPOINT))
    parts = {
        name.lower(): value for name, _, value in (pair.partition("=") for pair in text.split(";")) if value
    }
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        return Account(EMULATOR, EMULATOR_ENDPOINT, EMULATOR_KEY)
    name = parts.get("accountname", "")
    endpoint = parts.get("blobendpoint", "").rstrip("/")
    if not endpoint and name:
        scheme, suffix = (
            parts.get("defaultendpointsprotocol", "https"),
            parts.get("endpointsuffix", "core.windows.net"),
        )
        endpoint = f"{scheme}://{name}.blob.{suffix}"
    if not endpoint:
        raise SourceError(f"{_CONNECTION} names neither AccountName nor BlobEndpoint: copy it again, whole")
    plain_endpoint(f"BlobEndpoint of {_CONNECTION}", endpoint)
    return Account(
        name or _named_in(endpoint),
        endpoint,
        parts.get("accountkey", ""),
        parts.get("sharedaccesssignature", ""),
    )


def _named_in(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return parts.path.strip("/").partition("/")[0] or (parts.hostname or "").partition(".")[0]


def azure_credential(opening: Opening, asked: Account, sas: str) -> Credential:
    """The credential for an account: the first that is found, in the order of `LOOKED_FOR`.

    `sas`: the query of the address. Keys and SAS of the environment are for the account it names, when it names one.
    """
    if sas:
        return _sas("the SAS in the address", sas)
    if opening.on("AZURE_SKIP_SIGNATURE"):
        return Credential("AZURE_SKIP_SIGNATURE", {"skip_signature": True})
    known = account(opening)
    if known.name in ("", asked.name):
        if known.key:
            return _key(_CONNECTION, known.key)
        if known.sas:
            return _sas(_CONNECTION, known.sas)
        if token := opening.get(*_SAS):
            return _sas(_SAS[0], token)
        if key := opening.get(*_KEY):
            return _key(_KEY[0], key)
    if asked.name == EMULATOR:
        return _key("the emulator's own key", EMULATOR_KEY)
    return _identity(opening) or nobody(LOOKED_FOR)


def _sas(spoken: str, token: str) -> Credential:
    options = {"credential_type": "sas_token", "sas_key": token.lstrip("?")}
    return Credential(spoken, options, doubt=_ended(token))


def _key(spoken: str, key: str) -> Credential:
    return Credential(spoken, {"credential_type": "access_key", "account_key": key})


def _ended(sas: str) -> str:
    """What is wrong with a SAS that is not valid any more, or not yet; else nothing."""
    now = datetime.now(timezone.utc)
    times = parse_qs(sas.lstrip("?"))
    for name, too_late in (("se", True), ("st", False)):
        text = times.get(name, [""])[0]
        try:
            when = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            continue
        when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
        if (when < now) if too_late else (when > now):
            said = "it ended at" if too_late else "it begins at"
            return f"{said} {when:%Y-%m-%d %H:%M} UTC, make a new one"
    return ""


def _identity(opening: Opening) -> Credential | None:
    """An identity of Entra: of a service principal, a workload, this machine, or whoever logged in with az."""
    ids = {name: opening.get(f"AZURE_{name.upper()}") for name in ("client_id", "tenant_id")}
    authority = opening.endpoint("AZURE_AUTHORITY_HOST")
    options: dict[str, object] = {**ids, **({"authority_host": authority} if authority else {})}
    if all(ids.values()) and (secret := opening.get("AZURE_CLIENT_SECRET")):
        whom = f"the service principal {ids['client_id']}"
        return Credential(whom, {**options, "credential_type": "client_secret", "client_secret": secret})
    if all(ids.values()) and (path := opening.get("AZURE_FEDERATED_TOKEN_FILE")):
        if not os.path.isfile(path):
            raise SourceError(f"AZURE_FEDERATED_TOKEN_FILE={path} is no file: see the pod's service account")
        whom = f"the workload identity {ids['client_id']}"
        return Credential(
            whom, {**options, "credential_type": "workload_identity", "federated_token_file": path}
        )
    if identity := managed_identity(opening):
        failure: list[SourceError] = []
        provider = functools.partial(identity.token, failure)
        return Credential(identity.spoken, {"credential_provider": provider}, failure=failure)
    profile = os.path.join(
        opening.get("AZURE_CONFIG_DIR") or os.path.join(opening.get("HOME", "USERPROFILE"), ".azure"),
        "azureProfile.json",
    )
    if opening.program("az") and os.path.isfile(profile):
        return Credential("the login of az", {"credential_type": "azure_cli", "use_azure_cli": True})
    return None
