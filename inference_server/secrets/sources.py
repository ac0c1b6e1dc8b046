"""Which source reads which kind of reference; those that read what lies on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from inference_server.secrets.connections import Connections
from inference_server.secrets.keyvault import KeyVaults
from inference_server.secrets.reference import Unresolved, has_reference
from inference_server.secrets.resolving import VALUE_BYTES, Found, Source
from inference_server.secrets.store import Store, store
from inference_server.secrets.vault import Vault, VaultAddress
from inference_server.settings import SecretSettings


def sources(settings: SecretSettings, environment: Mapping[str, str]) -> dict[str, Source]:
    """A source for every kind of reference. Nothing is opened before it is asked for."""
    local = store(settings, environment)
    address = VaultAddress(
        settings.vault_addr,
        settings.vault_token,
        settings.vault_token_file,
        settings.vault_namespace,
        settings.vault_cacert,
    )
    return {
        "azureml": Connections(local, settings.connections_file),
        "keyvault": KeyVaults(),
        "vault": Vault(address),
        "secret": Secrets(local),
        "file": Files(),
        "env": Variables(environment),
    }


class Files:
    """`${{file:/run/secrets/x}}`: what a file holds, without the line break at its end."""

    def read(self, place: str) -> Found:
        """Raises Unresolved."""
        return all_hidden(file_text(place))


class Variables:
    """`${{env:NAME}}`: another variable of the server."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def read(self, place: str) -> Found:
        """Raises Unresolved."""
        text = self._environment.get(place)
        if text is None:
            raise Unresolved(f"the variable {place} is not set")
        if has_reference(text):
            raise Unresolved(f"the variable {place} holds a reference itself: give that one here")
        return all_hidden(text)


class Secrets:
    """`${{secret:NAME}}`: the local store, which `azmlinfsrv secret` fills."""

    def __init__(self, local: Store) -> None:
        self._store = local

    def read(self, place: str) -> Found:
        """Raises Unresolved."""
        return all_hidden(self._store.get(place))


def all_hidden(text: str) -> Found:
    """A value of which nothing may show."""
    return Found(text, (text,))


def file_text(place: str) -> str:
    """The text of a file that an operator names, without one line break at its end. Raises Unresolved."""
    path = Path(place).expanduser()
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Unresolved(f"{path} is no file")
        with path.open("rb") as file:
            data = file.read(VALUE_BYTES + 3)
        text = data.decode()
    except UnicodeDecodeError:
        raise Unresolved(f"{path} holds bytes that are no text in UTF-8") from None
    except OSError as error:
        raise Unresolved(f"{path} cannot be read: {error.strerror}") from None
    return text.removesuffix("\n").removesuffix("\r")
