"""What every kind of source is opened with."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from urllib.parse import urlsplit

from inference_server.settings import StorageSettings
from inference_server.storage.source import SourceError

CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Opening:
    """The surroundings that decide how an address is read: the environment and the settings."""

    environ: Mapping[str, str] = field(repr=False)
    settings: StorageSettings

    def get(self, *names: str) -> str:
        """The first of these variables that holds something, else ""."""
        return next((value for name in names if (value := self.environ.get(name, "").strip())), "")

    def given(self, *names: str) -> bool:
        """Whether all these variables hold something."""
        return all(self.get(name) for name in names)

    def on(self, name: str) -> bool:
        """Whether a variable says yes."""
        return self.get(name).lower() in ("1", "true", "yes", "on")

    def program(self, name: str) -> str:
        """The path of a program, "" where there is none."""
        return shutil.which(name, path=self.environ.get("PATH")) or ""

    def endpoint(self, *names: str) -> str:
        """The address of a service that one of these variables names, without "/" at its end; else "".

        Raises SourceError for what is none; the value is not shown, since it may hold a password.
        """
        value = self.get(*names).rstrip("/")
        if value:
            name = next(name for name in names if self.get(name))
            plain_endpoint(name, value)
        return value

    @property
    def stall_seconds(self) -> float | None:
        """How long the other side may be silent; None: for ever."""
        return self.settings.stall_timeout or None


def plain_endpoint(where: str, value: str) -> None:
    """Raise SourceError unless it is http(s)://HOST[:PORT][/PATH]: libraries end the process over some that are not."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    known = parts.scheme in ("http", "https") and parts.hostname and port != 0
    if (
        not known
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not value.isprintable()
        or " " in value
    ):
        raise SourceError(
            f"{where} expects http://HOST:PORT or https://HOST:PORT, without a name or password"
        )


def library(name: str, address: str, extra: str) -> ModuleType:
    """A library of an extra. Raises SourceError naming what to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
        needed = name.partition(".")[0]
        raise SourceError(f"{address} is read with {needed}: pip install 'azmlinfsrv[{extra}]'") from None
