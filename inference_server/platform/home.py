"""The one folder in which everything of this machine's endpoints lies.

state.db                              what is desired and observed, the registry (and SQLite's -wal and -shm beside it)
locks/                                held by the servers of endpoints
azureml-models/NAME/VERSION/          models, as they were when they were registered
environments/NAME/VERSION/            conda files and build contexts, likewise
registries/REGISTRY/…                 both, of assets that were registered with --registry-name
incoming/                             what is being taken in
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference_server.settings import Settings
from inference_server.settings.platform import home_folder


@dataclass(frozen=True)
class Home:
    """The folder; nothing in it is made before it is needed."""

    folder: Path

    @property
    def state(self) -> Path:
        """The database."""
        return self.folder / "state.db"

    @property
    def locks(self) -> Path:
        """The folder of locks."""
        return self.folder / "locks"

    @property
    def incoming(self) -> Path:
        """The folder of what is being taken in; on the same disk as where it goes."""
        return self.folder / "incoming"

    def root_of(self, registry: str) -> Path:
        """Below it lie the assets of a registry; "": of the workspace."""
        return self.folder / "registries" / registry if registry else self.folder


def home_of(settings: Settings) -> Home:
    """The home that the settings name."""
    return Home(Path(home_folder(settings.platform, settings.environment)))
