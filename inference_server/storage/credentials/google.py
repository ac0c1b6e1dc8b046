"""Which credential Google Cloud Storage is read with: Application Default Credentials."""

from __future__ import annotations

import json
import os
import urllib.request
from http.client import HTTPException
from typing import Any

from inference_server.storage.credentials.credential import Credential, nobody
from inference_server.storage.opening import Opening
from inference_server.storage.source import SourceError

LOOKED_FOR = (
    "GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT_KEY, a login of gcloud "
    "(application_default_credentials.json), the service account of this machine"
)
_OBSTORE_READS = ("service_account", "authorized_user")
_LOOK_SECONDS = 1.0


def google_credential(opening: Opening) -> Credential:
    """The first that is found, in the order of `LOOKED_FOR`. Raises SourceError for a file that is none."""
    if opening.on("GOOGLE_SKIP_SIGNATURE"):
        return Credential("GOOGLE_SKIP_SIGNATURE", {"skip_signature": True})
    if path := opening.get(
        "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"
    ):
        return _file("GOOGLE_APPLICATION_CREDENTIALS", path)
    if key := opening.get("GOOGLE_SERVICE_ACCOUNT_KEY"):
        return Credential("GOOGLE_SERVICE_ACCOUNT_KEY", {"service_account_key": key})
    folder = opening.get("CLOUDSDK_CONFIG") or os.path.join(opening.get("HOME"), ".config", "gcloud")
    path = os.path.join(folder, "application_default_credentials.json")
    if os.path.isfile(path):
        return _file("the login of gcloud", path)
    if _on_machine(opening):
        return Credential("the service account of this machine")
    return nobody(LOOKED_FOR)


def _file(spoken: str, path: str) -> Credential:
    try:
        with open(path, encoding="utf-8") as file:
            kind = json.load(file)["type"]
    except OSError as error:
        raise SourceError(f"{spoken}: {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise SourceError(f"{spoken}: {path} is no file of credentials: make a new key") from None
    if kind not in _OBSTORE_READS:
        return Credential(spoken, {"credential_provider": _google_auth(path, str(kind))})
    return Credential(spoken, {"application_credentials": path})


def _google_auth(path: str, kind: str) -> Any:
    """Federated and impersonated identities are read by Google's own library."""
    try:
        import google.auth  # type: ignore[import-untyped,import-not-found,unused-ignore]
        from obstore.auth.google import GoogleCredentialProvider
    except ModuleNotFoundError:
        raise SourceError(f"{path} is of the kind {kind}: pip install google-auth requests") from None
    credentials, _ = google.auth.load_credentials_from_file(
        path, scopes=["https://www.googleapis.com/auth/devstorage.read_only"]
    )
    return GoogleCredentialProvider(credentials)


def _on_machine(opening: Opening) -> bool:
    """Whether the metadata service of Google's machines is there."""
    if opening.on("NO_GCE_CHECK"):
        return False
    address = f"http://{opening.get('GCE_METADATA_HOST', 'METADATA_HOST') or '169.254.169.254'}/"
    request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=_LOOK_SECONDS
        ) as answer:
            return bool(answer.headers.get("Metadata-Flavor") == "Google")
    except (OSError, HTTPException, ValueError):
        return False
