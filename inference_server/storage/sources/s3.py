"""`s3://BUCKET/KEY`: Amazon S3, and whatever speaks its protocol at AWS_ENDPOINT_URL."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from inference_server.storage.credentials.aws import aws_credential, profile
from inference_server.storage.opening import Opening, library, plain_endpoint
from inference_server.storage.source import SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.object_errors import Place
from inference_server.storage.sources.objects import ObjectSource, connection

SCHEMES = ("s3", "s3a", "s3n")
_FORM = re.compile(
    r"s3[an]?://(?P<bucket>[^/?#@]+)(?:/(?P<key>.*?))?(?:\?versionId=(?P<version>[^&#]+))?", re.I | re.S
)
_RIGHTS = "it needs s3:GetObject, and s3:ListBucket for a folder"
_ENDPOINT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_REGION = "us-east-1"
_AMAZON = r"(.+\.)?s3[.-].*amazonaws\.com(\.cn)?"


def s3_source(address: str, opening: Opening) -> ObjectSource:
    """The object, or what lies below the prefix. A key is taken letter by letter, as AWS's own tools do."""
    match = _FORM.fullmatch(address)
    if match is None:
        raise SourceError(
            "an address of S3 is s3://BUCKET/KEY, without a name or password: see the one given"
        )
    bucket, key, version = match["bucket"], match["key"] or "", match["version"] or ""
    spoken = addresses.printable(f"s3://{bucket}/{key}" + (f"?versionId={version}" if version else ""))
    stores: Any = library("obstore.store", spoken, "storage")
    settings = profile(opening)
    endpoint = opening.endpoint(*_ENDPOINT) or settings.get("endpoint_url", "").rstrip("/")
    if endpoint:
        plain_endpoint("endpoint_url of the AWS profile", endpoint)
    region = opening.get("AWS_REGION", "AWS_DEFAULT_REGION") or settings.get("region") or _REGION
    credential = aws_credential(opening, settings)
    host = urlsplit(endpoint).netloc
    place = Place(
        spoken=spoken,
        bucket=f"the bucket {bucket}",
        host=host or f"S3 in {region}",
        hosts=rf"(.+\.)?{re.escape(host)}" if host else _AMAZON,
        rights=_RIGHTS,
        credential=credential,
    )
    try:
        store = stores.S3Store(
            bucket,
            region=region,
            **({"endpoint": endpoint} if endpoint else {}),
            **credential.options,
            **connection(opening, endpoint.startswith("http:")),
        )
    except Exception:  # the library's text may hold the key
        raise SourceError(
            f"{spoken} cannot be asked for with {credential.spoken}: see the address and the credential"
        ) from None
    return ObjectSource(store, key, place, version)
