"""What every kind of source is opened with."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType

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

    @property
    def stall_seconds(self) -> float | None:
        """How long the other side may be silent; None: for ever."""
        return self.settings.stall_timeout or None


def library(name: str, address: str, extra: str) -> ModuleType:
    """A library of an extra. Raises SourceError naming what to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
        needed = name.partition(".")[0]
        raise SourceError(f"{address} is read with {needed}: pip install 'azmlinfsrv[{extra}]'") from None
