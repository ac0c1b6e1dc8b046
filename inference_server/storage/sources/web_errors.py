"""What goes wrong over HTTP, in one line without secrets, and whether asking again may help."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError, URLError

from inference_server.storage.source import Changed, Cut, SourceError

AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
_GONE = frozenset((404, 410))
_REFUSED = frozenset((401, 403, 407))


def web_error(error: Exception, spoken: str, access: str) -> SourceError:
    """What an exception of urllib or http.client means. `access`: how the address could be allowed to be read."""
    if isinstance(error, HTTPError):
        return _status(error, spoken, access)
    if isinstance(error, http.client.InvalidURL):
        return SourceError(f"{spoken} is no address: see its host, port and spaces")
    reason = error.reason if isinstance(error, URLError) else error
    return _connection(reason, spoken)


def _status(error: HTTPError, spoken: str, access: str) -> SourceError:
    code = error.code
    if code in _GONE:
        return SourceError(f"{spoken} is not there ({code}): see the address")
    if code in _REFUSED:
        return SourceError(f"{spoken} may not be read ({code}): {access}")
    if code in AGAIN:
        return Cut(f"{spoken} answers {code} for now", retry_after(error.headers.get("Retry-After")))
    if code in (412, 416):
        return Changed(f"{spoken} was changed while it was read")
    return SourceError(f"{spoken} answers {code}, which is no file: see the address")


def _connection(reason: object, spoken: str) -> SourceError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return SourceError(
            f"{spoken}: the server's certificate is not trusted ({reason.verify_message}): "
            "name the file of its authority in SSL_CERT_FILE"
        )
    if isinstance(reason, ssl.SSLError):
        return Cut(f"{spoken}: no secure connection ({reason.reason or 'TLS'})")
    if isinstance(reason, socket.gaierror):
        return Cut(f"{spoken}: its host is not known here: see the address and the network")
    if isinstance(reason, ConnectionRefusedError):
        return Cut(f"{spoken}: nobody listens there (connection refused)")
    if isinstance(reason, TimeoutError):
        return Cut(f"{spoken} has sent nothing for too long")
    if isinstance(reason, (OSError, http.client.HTTPException)):
        return Cut(f"{spoken} broke off")
    return SourceError(f"{spoken} cannot be read: see the address")


def retry_after(value: str | None) -> float | None:
    """Seconds to wait, as the header Retry-After says in one of its two forms."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
