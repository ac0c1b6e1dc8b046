"""Azure Blob Storage, against Azurite; the forms of its addresses."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from inference_server.settings import StorageSettings
from inference_server.storage.opening import Opening
from inference_server.storage.source import Changed, SourceError
from inference_server.storage.sources.azure import blob_address
from inference_server.storage.sources.azureml import azureml_address
from tests.storage.emulators import ACCOUNT, ACCOUNT_KEY, Azurite
from tests.storage.sources.opened import fetched, opened, refusal, text

CONTENT = random.Random(7).randbytes(3_000_000)
MODEL = {"model.bin": CONTENT, "conf/a b#1%.json": b"{}", "conf/ünï.txt": b"text"}


@pytest.fixture(scope="module")
def container(azurite: Azurite) -> str:
    name = azurite.container()
    for path, content in MODEL.items():
        azurite.put(name, f"models/iris/{path}", content)
    azurite.put(name, "models/iris-2/model.bin", b"another")
    azurite.put(name, "models/empty", b"")
    azurite.put(name, "lake", b"")  # what Data Lake keeps of a folder
    azurite.put(name, "lake/folder", b"")
    azurite.put(name, "lake/folder/model.bin", CONTENT)
    return name


@pytest.mark.system
def test_a_blob_and_a_folder_with_a_sas(azurite: Azurite, container: str) -> None:
    sas = azurite.sas("rl")
    source = opened(azurite.url(container, "models/iris", sas))
    assert (source.name, source.spoken) == ("iris", azurite.url(container, "models/iris"))
    assert {entry.path: entry.size for entry in source.entries()} == {
        path: len(data) for path, data in MODEL.items()
    }
    assert source.is_folder is True
    assert fetched(azurite.url(container, "models/iris/", sas)) == MODEL

    source = opened(azurite.url(container, "models/iris/model.bin", sas))
    [entry] = source.entries()
    assert (source.is_folder, entry.path, entry.size) == (False, "model.bin", len(CONTENT))
    assert entry.etag
    pieces = [bytes(piece) for piece in source.read(entry, 1000, 2_900_000)]
    assert b"".join(pieces) == CONTENT[1000:2_900_000]
    assert fetched(azurite.url(container, "models/empty", sas)) == {"empty": b""}


@pytest.mark.system
def test_a_folder_of_data_lake_is_no_empty_file(azurite: Azurite, container: str) -> None:
    sas = azurite.sas("rl")
    assert fetched(azurite.url(container, "lake", sas)) == {"folder/model.bin": CONTENT}
    assert fetched(azurite.url(container, "lake/folder/", sas)) == {"model.bin": CONTENT}


@pytest.mark.system
def test_a_sas_to_read_without_the_right_to_list(azurite: Azurite, container: str) -> None:
    sas = azurite.sas("r", kinds="o")
    assert fetched(azurite.url(container, "models/iris/model.bin", sas)) == {"model.bin": CONTENT}
    assert "there is no such file or folder" in str(refusal(azurite.url(container, "models/none", sas)))


@pytest.mark.system
def test_every_credential_for_an_account(azurite: Azurite, container: str) -> None:
    address = f"az://{container}/models/iris/model.bin"
    account = {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_BLOB_ENDPOINT": azurite.endpoint}
    by_sas = azurite.connection_string.replace(
        f"AccountKey={ACCOUNT_KEY}", f"SharedAccessSignature={azurite.sas('rl')}"
    )
    for environ in (
        {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string},
        {"AZURE_STORAGE_CONNECTION_STRING": by_sas},
        {**account, "AZURE_STORAGE_KEY": ACCOUNT_KEY},
        {**account, "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY},
        {**account, "AZURE_STORAGE_SAS_TOKEN": f"?{azurite.sas('rl')}"},
        account,  # of the emulator everybody knows the key
    ):
        assert fetched(address, environ) == {"model.bin": CONTENT}
    assert opened(address, account).spoken == azurite.url(container, "models/iris/model.bin")


@pytest.mark.system
@pytest.mark.parametrize(
    ("path", "sas", "says"),
    [
        ("models/none", {}, "there is no such file or folder in the container"),
        ("models/none/", {}, "there is no such file or folder in the container"),
        (
            "models/iris",
            {"ends": "2020-01-01T00:00:00Z"},
            "(403 AuthorizationFailure): it ended at 2020-01-01 00:00 UTC, make a new one",
        ),
        (
            "models/iris",
            {"permissions": "w"},
            "(403 AuthorizationPermissionMismatch): it needs the role Storage Blob Data",
        ),
    ],
)
def test_what_cannot_be_read(
    azurite: Azurite, container: str, path: str, sas: dict[str, str], says: str
) -> None:
    error = refusal(azurite.url(container, path, azurite.sas(**sas)))
    assert says in str(error)
    assert str(error).startswith(azurite.url(container, path))


@pytest.mark.system
def test_what_is_not_there_or_not_for_everybody(azurite: Azurite, container: str) -> None:
    assert "there is no container nobody of the account devstoreaccount1" in str(
        refusal(azurite.url("nobody", "x", azurite.sas()))
    )
    anonymous = refusal(azurite.url(container, "models/iris"), {"AZURE_SKIP_SIGNATURE": "1"})
    assert "AZURE_SKIP_SIGNATURE" in str(anonymous)
    wrong = refusal(
        f"az://{container}/models/iris",
        {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string.replace(ACCOUNT_KEY, "c2VjcmV0")},
    )
    assert "may not be read with AZURE_STORAGE_CONNECTION_STRING (403 " in str(wrong)


@pytest.mark.system
def test_a_blob_that_changes_is_not_mixed(azurite: Azurite) -> None:
    name = azurite.container()
    azurite.put(name, "m.bin", CONTENT)
    source = opened(azurite.url(name, "m.bin", azurite.sas()))
    [entry] = source.entries()
    azurite.put(name, "m.bin", CONTENT[::-1])
    with pytest.raises(Changed, match="was changed while it was read"):
        list(source.read(entry, 1000, 2000))


@pytest.mark.system
def test_a_datastore_of_a_workspace(azurite: Azurite, container: str, tmp_path: Path) -> None:
    table = json.dumps({"blobs": azurite.url(container, "models", azurite.sas())})
    named = "azureml://datastores/Blobs/paths/iris/conf/a%20b%231%25.json"
    long = f"azureml://subscriptions/s/resourcegroups/g/workspaces/w/{named.partition('//')[2]}"
    for given in (table, text(tmp_path / "datastores.json", table)):
        environ = {"AZMLINFSRV_DATASTORES": given}
        for address in (named, long):
            source = opened(address, environ)
            assert "sig=" not in source.spoken
            assert fetched(address, environ) == {"a b#1%.json": b"{}"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "https://acct1.blob.core.windows.net/c/a%20b?sig=pa55",
            ("acct1", "https://acct1.blob.core.windows.net", "c", "a b", "sig=pa55"),
        ),
        (
            "https://acct1.dfs.core.usgovcloudapi.net/c/",
            ("acct1", "https://acct1.blob.core.usgovcloudapi.net", "c", "", ""),
        ),
        (
            "https://acct1.z13.blob.storage.azure.net/c/x",
            ("acct1", "https://acct1.z13.blob.storage.azure.net", "c", "x", ""),
        ),
        (
            "wasbs://c@acct1.blob.core.windows.net/a/b",
            ("acct1", "https://acct1.blob.core.windows.net", "c", "a/b", ""),
        ),
        (
            "wasb://c@acct1.blob.core.windows.net/a",
            ("acct1", "http://acct1.blob.core.windows.net", "c", "a", ""),
        ),
        (
            "abfss://c@acct1.dfs.core.windows.net/a/",
            ("acct1", "https://acct1.blob.core.windows.net", "c", "a/", ""),
        ),
        ("az://c/a", ("acct2", "https://acct2.blob.core.windows.net", "c", "a", "")),
    ],
)
def test_the_forms_of_an_address(address: str, expected: tuple[str, ...]) -> None:
    opening = Opening({"AZURE_STORAGE_ACCOUNT": "acct2"}, StorageSettings())
    blob = blob_address(address, opening)
    assert (blob.account, blob.endpoint, blob.container, blob.path, blob.sas) == expected
    assert "pa55" not in blob.spoken + repr(blob)


def test_a_version_of_a_blob_is_no_part_of_its_sas() -> None:
    address = "https://acct1.blob.core.windows.net/c/x?versionid=2024-01-01T00%3A00%3A00Z&sv=1&sig=p%2B5"
    blob = blob_address(address, Opening({}, StorageSettings()))
    assert (blob.version, blob.sas) == ("2024-01-01T00:00:00Z", "sv=1&sig=p%2B5")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            {"blobs": "https://a.blob.core.windows.net/c?sig=1"},
            "https://a.blob.core.windows.net/c/m%20x?sig=1",
        ),
        ({"blobs": "s3://bucket/prefix/"}, "s3://bucket/prefix/m x"),
        (
            {
                "name": "blobs",
                "account_name": "acct",
                "container_name": "c",
                "endpoint": "core.windows.net",
                "protocol": "https",
            },
            "https://acct.blob.core.windows.net/c/m%20x",
        ),
        (
            [
                {"name": "Blobs", "account_name": "acct", "filesystem": "f"},
                {"name": "files", "account_name": "x"},
            ],
            "https://acct.blob.core.windows.net/f/m%20x",
        ),
    ],
)
def test_tables_of_datastores(table: object, expected: str) -> None:
    opening = Opening({"AZMLINFSRV_DATASTORES": json.dumps(table)}, StorageSettings())
    assert azureml_address("azureml://datastores/blobs/paths/m%20x", opening) == expected


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("{", "is not JSON"),
        ("/nonexistent.json", "cannot be read: No such file"),
        ("[1, 2]", "says nothing of the datastore blobs (it is not set)"),
        ('{"blobs": {"account_name": "a"}}', "the datastore blobs is neither an address"),
        ('{"files": "s3://x"}', "(it knows files)"),
    ],
)
def test_tables_that_are_none(table: str, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        azureml_address(
            "azureml://datastores/blobs/paths/m", Opening({"AZMLINFSRV_DATASTORES": table}, StorageSettings())
        )
    assert says in str(caught.value)
