"""Azure Blob Storage and Data Lake Gen2, under each of the addresses people know it by.

https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH[?SAS]     also .dfs., other clouds, private endpoints
http://127.0.0.1:10000/devstoreaccount1/CONTAINER/PATH         Azurite
wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH           also abfss://…@ACCOUNT.dfs.…
az://CONTAINER/PATH                                            of the account that the environment names
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from inference_server.storage.credentials.azure import EMULATOR, Account, account, azure_credential
from inference_server.storage.opening import Opening, library
from inference_server.storage.source import SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.object_errors import Place
from inference_server.storage.sources.objects import ObjectSource, connection

SCHEMES = ("wasb", "wasbs", "abfs", "abfss", "az", "adl", "azure")
_HOST = re.compile(
    r"(?P<account>[a-z0-9-]{3,63})(?P<zone>\.z\d+)?\.(blob|dfs)\.(core\.windows\.net|core\.chinacloudapi\.cn"
    r"|core\.usgovcloudapi\.net|core\.cloudapi\.de|storage\.azure\.net|fabric\.microsoft\.com"
    r"|privatelink\..+)"
)
_RIGHTS = "it needs the role Storage Blob Data Reader, a SAS the permissions to read and list (sp=rl)"


@dataclass(frozen=True)
class BlobAddress:
    """What an address names, whatever its form."""

    account: str
    endpoint: str  # of the account's blobs
    container: str
    path: str
    sas: str = field(default="", repr=False)
    version: str = ""

    @property
    def spoken(self) -> str:
        """The one form it is said in."""
        version = f"?versionid={self.version}" if self.version else ""
        return addresses.printable(f"{self.endpoint}/{self.container}/{self.path}{version}")


def is_blob_address(address: str, opening: Opening) -> bool:
    """Whether an http(s) address is one of Azure Blob Storage."""
    parts = addresses.split(address)
    if _HOST.fullmatch((parts.hostname or "").lower()):
        return True
    if parts.path.startswith(f"/{EMULATOR}/"):
        return True
    endpoint = account(opening).endpoint
    return bool(endpoint) and f"{parts.scheme}://{addresses.host(parts)}{parts.path}".startswith(
        f"{endpoint}/"
    )


def azure_source(address: str, opening: Opening) -> ObjectSource:
    """The blob or folder at an address. Raises SourceError."""
    return blob_source(blob_address(address, opening), opening)


def blob_source(blob: BlobAddress, opening: Opening) -> ObjectSource:
    """The blob or folder. Raises SourceError when obstore lacks, or no credential can be read."""
    stores: Any = library("obstore.store", blob.spoken, "storage")
    credential = azure_credential(opening, Account(blob.account, blob.endpoint), blob.sas)
    endpoint = urlsplit(blob.endpoint)
    place = Place(
        spoken=blob.spoken,
        bucket=f"the container {blob.container} of the account {blob.account}",
        host=endpoint.netloc,
        hosts=re.escape(endpoint.netloc),
        rights=_RIGHTS,
        credential=credential,
    )
    try:
        store = stores.AzureStore(
            blob.container,
            account_name=blob.account,
            endpoint=blob.endpoint,
            **credential.options,
            **connection(opening, endpoint.scheme == "http"),
        )
    except Exception:  # the library's text may hold the key
        raise SourceError(
            f"{blob.spoken}: {credential.spoken} is not of the form a credential has: copy it again, whole"
        ) from None
    return ObjectSource(store, blob.path, place, blob.version)


def blob_address(address: str, opening: Opening) -> BlobAddress:
    """What an address of any of the forms names."""
    parts = addresses.split(address)
    if parts.scheme.lower() in ("http", "https"):
        return _of_http(parts, opening)
    if "@" in parts.netloc:  # wasbs://container@host/path
        container, _, host = parts.netloc.rpartition("@")
        return _placed(_account_at(host, parts), container, unquote(parts.path), parts.query)
    known = account(opening)
    if not known.endpoint and not known.name:
        raise SourceError(
            f"{addresses.spoken(address)} names no account: set AZURE_STORAGE_ACCOUNT, or write "
            "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"
        )
    endpoint = known.endpoint or f"https://{known.name}.blob.core.windows.net"
    return _placed(Account(known.name, endpoint), parts.netloc, unquote(parts.path), parts.query)


def _of_http(parts: SplitResult, opening: Opening) -> BlobAddress:
    path = unquote(parts.path)
    base = f"{parts.scheme}://{addresses.host(parts)}"
    if _HOST.fullmatch((parts.hostname or "").lower()):
        where = _account_at(addresses.host(parts), parts)
    elif path.startswith(f"/{EMULATOR}/"):
        where, path = Account(EMULATOR, f"{base}/{EMULATOR}"), path.removeprefix(f"/{EMULATOR}")
    else:
        where = account(opening)
        path = f"{base}{path}".removeprefix(where.endpoint)
    container, _, rest = path.lstrip("/").partition("/")
    return _placed(where, container, rest, parts.query)


def _account_at(host: str, parts: SplitResult) -> Account:
    """The account that a host belongs to; the blob endpoint also of what is written with `dfs`."""
    match = _HOST.fullmatch(host.lower())
    if match is None:
        raise SourceError(
            f"{parts.scheme}://…@{host}/…: the host is not an account's: ACCOUNT.blob.core.windows.net is what one "
            "looks like; for another endpoint write az://CONTAINER/PATH and set AZURE_STORAGE_BLOB_ENDPOINT"
        )
    scheme = "http" if parts.scheme in ("http", "wasb") else "https"
    return Account(match["account"], f"{scheme}://{host.lower().replace('.dfs.', '.blob.', 1)}")


def _placed(where: Account, container: str, path: str, query: str) -> BlobAddress:
    asked = parse_qs(query)
    if not container:
        raise SourceError(f"{where.endpoint}/ names no container: …/CONTAINER/PATH is what it looks like")
    if "snapshot" in asked:
        raise SourceError(
            f"{where.endpoint}/{container}/…: snapshots are not read: copy the snapshot to a blob"
        )
    rest = {name: value for name, value in asked.items() if name != "versionid"}
    if rest and "sig" not in rest:
        raise SourceError(
            f"{where.endpoint}/{container}/…: what follows the ? is no SAS, since it has no sig=: copy it again, whole, "
            "and put the address in quotes"
        )
    # As it was given: its parts are encoded already, and signed as they are.
    sas = "&".join(part for part in query.split("&") if part and not part.lower().startswith("versionid="))
    return BlobAddress(
        where.name, where.endpoint, container, path.lstrip("/"), sas, asked.get("versionid", [""])[0]
    )
