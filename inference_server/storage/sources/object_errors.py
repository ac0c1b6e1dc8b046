"""What object stores refuse with, in one line: the library's own texts hold addresses with their secrets.

Only the status and the store's error code are taken from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference_server.storage.credentials.credential import Credential
from inference_server.storage.source import Changed, Cut, SourceError
from inference_server.storage.sources.web_errors import AGAIN

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9]{1,80})\s*</Code>")
_REGION = re.compile(r"<Region>([a-z0-9-]{1,40})</Region>|expecting '([a-z0-9-]{1,40})'")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "ResourceNotFound")
_WRONG = (
    *("SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "AuthenticationFailed"),
    *("InvalidAuthenticationInfo", "TokenRefreshRequired"),
)
_CERTIFICATE = ("UnknownIssuer", "CertExpired", "InvalidCertificate", "NotValidForName", "certificate verify")
_ASKED = re.compile(r"Error performing [A-Z]+ [a-z]+://([^/\s?]+)")


class Forbidden(SourceError):
    """Who asks may not read it, or not list what is there."""


@dataclass(frozen=True)
class Place:
    """Where a source lies, for its errors."""

    spoken: str  # the address
    bucket: str  # "the container models of the account acct"
    host: str  # host and port that are asked
    hosts: str  # the pattern of theirs: others give tokens
    rights: str  # what the identity needs to read here
    credential: Credential


def object_error(error: Exception, place: Place) -> SourceError:
    """What an exception of obstore means."""
    if isinstance(error, SourceError):
        return error
    if place.credential.failure:
        return place.credential.failure[-1]
    text = str(error)
    found = _STATUS.search(text)
    status = int(found[1]) if found else 404 if isinstance(error, FileNotFoundError) else 0
    code = said[1] if (said := _CODE.search(text)) else ""
    asked = _ASKED.search(text)
    if "token request" in text or (asked and not re.fullmatch(place.hosts, asked[1], re.I)):
        return _no_token(place, status)
    if status:
        return _status(text, status, "" if code.isdigit() else code, place)
    return _connection(text, place)


def _status(text: str, status: int, code: str, place: Place) -> SourceError:
    shown = f"{status} {code}".strip()
    region = found[1] or found[2] if (found := _REGION.search(text)) else ""
    if region:
        return SourceError(f"{place.spoken}: {place.bucket} lies in another region: set AWS_REGION={region}")
    if 300 <= status < 400:
        return SourceError(f"{place.spoken}: {place.bucket} lies in another region: set AWS_REGION to it")
    if code in _NO_BUCKET or "no bucket named" in text:
        return SourceError(f"{place.spoken}: there is no {place.bucket.removeprefix('the ')}{_unless(place)}")
    if status == 404:
        return not_there(place)
    if status in (401, 403, 409):
        return _forbidden(place, shown, code)
    if status in (412, 416):
        return Changed(f"{place.spoken} was changed while it was read")
    if status in AGAIN or status >= 500:
        return Cut(f"{place.spoken}: {place.host} answers {shown} for now")
    return SourceError(
        f"{place.spoken}: {place.host} refuses the request ({shown}): see the address and the credential "
        f"({place.credential.spoken})"
    )


def not_there(place: Place) -> SourceError:
    """Neither an object nor a folder."""
    return SourceError(f"{place.spoken}: there is no such file or folder in {place.bucket}{_unless(place)}")


def _forbidden(place: Place, shown: str, code: str) -> Forbidden:
    if place.credential.anonymous:
        return Forbidden(
            f"{place.spoken} may not be read without credentials ({shown}); looked for: {place.credential.looked_for}"
        )
    wrong = "it is wrong, or not valid any more" if code in _WRONG else ""
    return Forbidden(
        f"{place.spoken} may not be read with {place.credential.spoken} ({shown}): "
        f"{place.credential.doubt or wrong or place.rights}"
    )


def _unless(place: Place) -> str:
    """Stores hide from strangers what is there."""
    return " that could be read without credentials" if place.credential.anonymous else ""


def _no_token(place: Place, status: int) -> SourceError:
    shown = f" ({status})" if status else ""
    text = f"{place.spoken}: no access token was given to {place.credential.spoken}{shown}"
    if not status or status in AGAIN:
        return Cut(text)
    return SourceError(f"{text}: see its ids, its secret or file, and that it was not removed")


def _connection(text: str, place: Place) -> SourceError:
    if any(word in text for word in _CERTIFICATE):
        return SourceError(
            f"{place.spoken}: the certificate of {place.host} is not trusted: name the file of its authority in "
            "SSL_CERT_FILE"
        )
    if "dns error" in text:
        return Cut(
            f"{place.spoken}: the host {place.host} is not known here: see the address and the network"
        )
    if "ConnectionRefused" in text:
        return Cut(f"{place.spoken}: nobody listens at {place.host} (connection refused)")
    if "TimedOut" in text or "timed out" in text:
        return Cut(f"{place.spoken}: {place.host} has sent nothing for too long")
    if "HTTP error" in text or "error decoding" in text or "reqwest" in text:
        return Cut(f"{place.spoken}: the connection to {place.host} broke off")
    return SourceError(
        f"{place.spoken} cannot be read with {place.credential.spoken}: see the form of the address and the credential"
    )
