"""The settings of secrets: where values come from that the environment only refers to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inference_server.settings import read
from inference_server.settings.declare import setting
from inference_server.settings.places import user_data
from inference_server.settings.read import text

VAULT_TOKEN = os.path.join("~", ".vault-token")


@dataclass(frozen=True)
class SecretSettings:
    """Where the values come from that variables refer to as `${{…}}`."""

    secrets_file: str = setting(
        "",
        text,
        "The encrypted file of `azmlinfsrv secret`, which `${{secret:NAME}}` reads.",
        flag=True,
        default_text="`azmlinfsrv/secrets.json` in the user's folder for data",
        is_path=True,
    )
    secrets_passphrase: str = setting(
        "",
        text,
        "What a new file of secrets is encrypted with. Empty: a key in the system's keyring, or in a file beside it.",
        secret=True,
    )
    secrets_passphrase_file: str = setting("", text, "A file that holds that passphrase.")
    connections_file: str = setting(
        "",
        text,
        "A JSON file of connections, which `${{azureml://connections/NAME/…}}` reads before the file of secrets.",
        flag=True,
        is_path=True,
    )
    secrets_timeout: float = setting(
        30.0,
        read.number,
        "How long reading all that variables refer to may take, else the start fails; 0: no limit.",
        unit="seconds",
        flag=True,
    )
    vault_addr: str = setting(
        "",
        text,
        "Address of the HashiCorp Vault or OpenBao that `${{vault:PATH#FIELD}}` reads.",
        env=("VAULT_ADDR", "BAO_ADDR"),
    )
    vault_token: str = setting("", text, "The token for it.", env=("VAULT_TOKEN", "BAO_TOKEN"), secret=True)
    vault_token_file: str = setting(
        VAULT_TOKEN, text, "The file of the token, where the variable is not set; read again at each reload."
    )
    vault_namespace: str = setting("", text, "The namespace in it.", env=("VAULT_NAMESPACE", "BAO_NAMESPACE"))
    vault_cacert: str = setting(
        "", text, "Certificates (PEM) that it is checked with.", env=("VAULT_CACERT", "BAO_CACERT")
    )


def store_path(settings: SecretSettings, environ: Mapping[str, str]) -> str:
    """The file of `azmlinfsrv secret` that is set, or the platform's own place; absolute, links resolved."""
    named = settings.secrets_file
    return os.path.realpath(os.path.expanduser(named) if named else user_data("secrets.json", environ))
