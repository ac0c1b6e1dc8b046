"""`gs://BUCKET/PATH`: Google Cloud Storage, or the emulator at STORAGE_EMULATOR_HOST."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from inference_server.storage.credentials.credential import Credential
from inference_server.storage.credentials.google import google_credential
from inference_server.storage.opening import Opening, library, plain_endpoint
from inference_server.storage.source import SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.object_errors import Place
from inference_server.storage.sources.objects import ObjectSource, connection

SCHEMES = ("gs", "gcs")
_EMULATOR = "STORAGE_EMULATOR_HOST"
_RIGHTS = "it needs the role Storage Object Viewer"


def gcs_source(address: str, opening: Opening) -> ObjectSource:
    """The object, or what lies below the prefix. A name is taken letter by letter, as Google's own tools do."""
    bucket, _, path = address.partition("://")[2].partition("/")
    if not bucket or "@" in bucket:
        raise SourceError("an address of Google Cloud Storage is gs://BUCKET/PATH: see the one given")
    spoken = addresses.printable(f"gs://{bucket}/{path}")
    stores: Any = library("obstore.store", spoken, "storage")
    endpoint = opening.get(_EMULATOR).rstrip("/")
    if endpoint:
        endpoint = endpoint if "://" in endpoint else f"http://{endpoint}"
        plain_endpoint(_EMULATOR, endpoint)
        credential = Credential(_EMULATOR, {"skip_signature": True})
    else:
        endpoint, credential = opening.endpoint("GOOGLE_BASE_URL"), google_credential(opening)
    host = urlsplit(endpoint).netloc if endpoint else "storage.googleapis.com"
    place = Place(
        spoken=spoken,
        bucket=f"the bucket {bucket}",
        host=host,
        hosts=re.escape(host),
        rights=_RIGHTS,
        credential=credential,
    )
    try:
        store = stores.GCSStore(
            bucket,
            **({"base_url": endpoint} if endpoint else {}),
            **credential.options,
            **connection(opening, endpoint.startswith("http:")),
        )
    except Exception:  # the library's text may hold the key
        raise SourceError(
            f"{spoken} cannot be asked for with {credential.spoken}: see the address and the credential"
        ) from None
    return ObjectSource(store, path, place)
