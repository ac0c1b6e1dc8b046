"""References to Azure Key Vault: Azure's own client against stubs of the vault and of managed identity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_server.secrets.keyvault import KeyVaults
from inference_server.secrets.reference import Unresolved
from tests.secrets import keyvault
from tests.secrets.keyvault import KNOWN_CLIENT, Azure, app_service
from tests.tools import require_module

AZURE_VARIABLES = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "MSI_ENDPOINT", "MSI_SECRET")


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """A vault, and a machine with a managed identity and nothing else."""
    require_module("azure.keyvault.secrets", "azure-keyvault-secrets")
    for name in AZURE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # nobody is signed in with az
    with keyvault.running(tmp_path) as running:
        for name, value in app_service(running, tmp_path).items():
            monkeypatch.setenv(name, value)
        yield running


def why(place: str) -> str:
    """The sentence of a reference that cannot be resolved."""
    with pytest.raises(Unresolved) as refused:
        KeyVaults().read(place)
    text = str(refused.value)
    assert "\n" not in text
    assert "token-of-the-identity" not in text
    return text


def test_the_newest_version_and_a_named_one(azure: Azure) -> None:
    azure.secrets = {("key", ""): "newest", ("key", "v1"): "first"}
    vaults = KeyVaults()
    assert vaults.read(f"{azure.vault}/secrets/key") == ("newest", ("newest",))
    assert vaults.read(f"{azure.vault}/secrets/key/v1").text == "first"
    (path, query), *more = azure.token_requests
    assert path == "/msi/token"
    assert not more  # one token for both
    assert query["resource"] == [azure.vault.replace("127.", "")]


def test_the_identity_of_a_virtual_machine(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    azure.secrets = {("key", ""): "newest"}
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    monkeypatch.delenv("IDENTITY_HEADER")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.identity_address)
    monkeypatch.setenv("AZURE_CLIENT_ID", KNOWN_CLIENT)
    assert KeyVaults().read(f"{azure.vault}/secrets/key").text == "newest"
    path, query = azure.token_requests[-1]
    assert path == "/metadata/identity/oauth2/token"
    assert query["client_id"] == [KNOWN_CLIENT]


def test_what_a_vault_refuses_is_one_sentence(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    azure.secrets = {("key", ""): "newest"}
    azure.forbidden = {"closed"}
    assert "has no such secret (SecretNotFound" in why(f"{azure.vault}/secrets/nothing")
    assert "has no such version" in why(f"{azure.vault}/secrets/key/v7")
    assert "needs the role Key Vault Secrets User" in why(f"{azure.vault}/secrets/closed")
    azure.accepted = "another"
    assert "does not accept the identity (Unauthorized" in why(f"{azure.vault}/secrets/key")
    azure.identity = False
    refused = why(f"{azure.vault}/secrets/key")
    assert "no identity for Azure" in refused
    assert "(ManagedIdentityCredential: App Service managed identity" in refused
    azure.identity = True
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/hostname")
    assert "cannot be reached" in why(f"{azure.vault}/secrets/key")


def test_a_vault_that_nobody_serves(azure: Azure) -> None:
    assert "cannot be reached" in why("https://127.0.0.1:9/secrets/key")


@pytest.mark.parametrize(
    "place",
    [
        "http://v.vault.azure.net/secrets/x",
        "https://v.vault.azure.net/keys/x",
        "https://v.vault.azure.net/secrets/",
        "https://v.vault.azure.net/secrets/x/1/2",
        "https://user:hunter2-hunter2@v.vault.azure.net/secrets/x",
        "https://v.vault.azure.net/secrets/x?api-version=1",
        "name",
    ],
)
def test_another_address_is_refused(place: str) -> None:
    assert why(place) == (
        "write ${{keyvault:https://VAULT.vault.azure.net/secrets/NAME}}, and /VERSION after it for one version"
    )
