"""Where files come from: one module for each kind of address.

`open_source` is given addresses by the operator alone: on the command line, in a deployment's file. Nothing that a
request says ever reaches it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from inference_server.settings import StorageSettings
from inference_server.storage.opening import Opening
from inference_server.storage.source import Buffer, Entry, Source, SourceError
from inference_server.storage.sources import address as addresses
from inference_server.storage.sources.address import Checksum

_KNOWN = (
    "a path, http(s):, the https: addresses of Azure Blob, azureml:, wasbs:, abfss:, az:, s3:, gs:, hf:, runs:, models:, "
    "mlflow-artifacts:, git+file:"
)

Opener = Callable[[str, Opening], Source]


def open_source(
    address: str, environ: Mapping[str, str] | None = None, settings: StorageSettings | None = None
) -> Source:
    """The source at an address; `#sha256=…` or `#md5=…` at its end says what the one file there must be.

    `environ`: where credentials are found; the process's own when none is given. Raises SourceError for an address of
    no known kind, a credential that cannot be read, or a library that lacks.
    """
    opening = Opening(os.environ if environ is None else environ, settings or StorageSettings())
    if not address.strip():
        raise SourceError("the source is empty: give a path or an address")
    plain, checksum = addresses.checksum(address.strip())
    source = _opener(addresses.scheme(plain))(plain, opening)
    return Checked(source, checksum) if checksum != Checksum() else source


def _opener(scheme: str) -> Opener:
    """What opens addresses of a scheme; imported only now, since some bring heavy libraries."""
    if scheme in ("", "file"):
        return _local
    if scheme in ("http", "https"):
        return _http
    if scheme in ("azureml",):
        return _azureml
    from inference_server.storage.sources import azure, gcs, git, hub, mlflow, s3

    table: dict[str, Opener] = {
        **dict.fromkeys(azure.SCHEMES, azure.azure_source),
        **dict.fromkeys(s3.SCHEMES, s3.s3_source),
        **dict.fromkeys(gcs.SCHEMES, gcs.gcs_source),
        **dict.fromkeys(git.SCHEMES, git.GitSource),
        **dict.fromkeys(hub.SCHEMES, hub.HubSource),
        **dict.fromkeys(mlflow.SCHEMES, mlflow.mlflow_source),
    }
    opener = table.get(scheme)
    if opener is None:
        raise SourceError(f"sources of the form {scheme}: are not known; known are {_KNOWN}")
    return opener


def _local(address: str, opening: Opening) -> Source:
    from inference_server.storage.sources.local import LocalSource

    return LocalSource(address)


def _http(address: str, opening: Opening) -> Source:
    from inference_server.storage.sources.azure import azure_source, is_blob_address
    from inference_server.storage.sources.http import HttpSource

    if is_blob_address(address, opening):
        return azure_source(address, opening)
    return HttpSource(address, opening)


def _azureml(address: str, opening: Opening) -> Source:
    from inference_server.storage.sources.azureml import azureml_address

    found = azureml_address(address, opening)
    return _opener(addresses.scheme(found))(found, opening)


class Checked:
    """A source of one file, with the checksum that its address names."""

    def __init__(self, source: Source, checksum: Checksum) -> None:
        self._source = source
        self._checksum = checksum

    @property
    def spoken(self) -> str:
        """The address; the checksum is no part of where the file lies."""
        return self._source.spoken

    @property
    def name(self) -> str:
        """The name of the file."""
        return self._source.name

    @property
    def is_folder(self) -> bool | None:
        """Whether it turned out to be a folder."""
        return self._source.is_folder

    @property
    def ranged(self) -> bool:
        """Whether read() can begin anywhere."""
        return self._source.ranged

    def entries(self) -> Sequence[Entry]:
        """The file. Raises SourceError for a folder, which one checksum cannot be of."""
        found = self._source.entries()
        if self._source.is_folder:
            raise SourceError(f"{self.spoken} is a folder: a checksum in an address is for one file")
        return [self._checksum.on(entry) for entry in found]

    def read(self, entry: Entry, start: int, stop: int | None) -> Iterator[Buffer]:
        """The bytes from `start` to before `stop`."""
        return self._source.read(entry, start, stop)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
