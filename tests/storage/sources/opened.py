"""What tests do with a source: open it with an environment of its own, and read all of it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from inference_server.settings import StorageSettings
from inference_server.storage.source import Source, SourceError
from inference_server.storage.sources import open_source

# No machine's identity is asked for, wherever the tests run.
NO_MACHINE = {
    "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_GCE_CHECK": "true",
    "HOME": "/nonexistent",
    "PATH": "/usr/bin:/bin",
}
IMPATIENT = StorageSettings(stall_timeout=0.5)


def opened(address: str, environ: Mapping[str, str] | None = None) -> Source:
    """The source, with nothing in its environment but what is given."""
    return open_source(address, {**NO_MACHINE, **(environ or {})}, IMPATIENT)


def contents(source: Source) -> dict[str, bytes]:
    """Every file whole, by its path."""
    try:
        found = source.entries()
        return {entry.path: b"".join(source.read(entry, 0, entry.size)) for entry in found}
    finally:
        source.close()


def fetched(address: str, environ: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Every file of an address."""
    return contents(opened(address, environ))


def refusal(address: str, environ: Mapping[str, str] | None = None) -> SourceError:
    """The error that reading an address ends with; it is one line."""
    with pytest.raises(SourceError) as caught:
        fetched(address, environ)
    assert "\n" not in str(caught.value)
    return caught.value


def all_said(error: BaseException, source: Source | None = None) -> str:
    """Everything that a log could show of an error and a source."""
    spoken = repr((source, vars(source), source.spoken)) if source is not None else ""
    return "".join(traceback.format_exception(error)) + repr(error) + spoken


def text(path: Path, content: str) -> str:
    """A file with a text; its path."""
    path.write_text(content)
    return str(path)
