"""What addresses say, and what is said of them."""

from __future__ import annotations

import pytest

from inference_server.storage.source import SourceError
from inference_server.storage.sources import address as addresses
from tests.storage.sources.opened import opened, refusal

SUM = "a" * 64


@pytest.mark.parametrize(
    ("address", "spoken"),
    [
        ("https://user:pa55@host:8443/a/b.bin?sv=1&sig=pa55#x", "https://host:8443/a/b.bin"),
        ("HTTPS://host/a?X-Amz-Signature=pa55&X-Amz-Expires=9", "https://host/a"),
        ("https://host/a?token=pa55&api_key=pa55&password=pa55", "https://host/a"),
        ("https://host/a%20b\r\nc", "https://host/a%20bc"),
    ],
)
def test_an_address_is_said_without_its_secrets(address: str, spoken: str) -> None:
    assert addresses.spoken(address) == spoken


def test_a_query_that_decides_what_is_read_is_part_of_what_is_said() -> None:
    one, other = (addresses.spoken(f"https://host/get?id={number}&sig=pa55") for number in (1, 2))
    renewed = addresses.spoken("https://host/get?sig=another&id=1")
    assert one != other
    assert one == renewed
    assert "id=1" not in one


def test_a_checksum_is_taken_from_the_end_of_an_address() -> None:
    plain, checksum = addresses.checksum(f"s3://bucket/key#1#sha256={SUM}")
    assert (plain, checksum.sha256.hex(), checksum.md5) == ("s3://bucket/key#1", SUM, b"")
    assert addresses.checksum("s3://bucket/key#1") == ("s3://bucket/key#1", addresses.Checksum())


@pytest.mark.parametrize(
    "wrong", ["#sha256=short", "#SHA256=" + SUM, "#md5=" + SUM, "#sha512=" + SUM * 2, "#sha1="]
)
def test_a_checksum_that_cannot_be_checked_is_never_left_out_in_silence(wrong: str) -> None:
    error = refusal(f"https://host/model.onnx?sig=pa55{wrong}")
    assert str(error).startswith(f"{wrong} is no checksum")
    assert "pa55" not in str(error)


def test_a_drive_is_no_scheme() -> None:
    assert addresses.scheme(r"C:\models") == ""
    assert addresses.scheme("models/a:b") == ""
    assert addresses.scheme("S3://bucket") == "s3"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "the source is empty"),
        ("ftp://host/file", "sources of the form ftp: are not known"),
        ("https://host:port/x", "cannot be read: see its host and port"),
        ("https:///x", "names no host"),
        ("s3:///key", "s3://BUCKET/KEY"),
        ("s3://key:pa55@bucket/key", "without a name or password"),
        ("gs://", "gs://BUCKET/PATH"),
        ("azureml:model:1", "for a registered model"),
        (
            "azureml://datastores/blob/paths/m",
            "AZMLINFSRV_DATASTORES says nothing of the datastore blob (it is not set)",
        ),
        ("az://container/path", "set AZURE_STORAGE_ACCOUNT"),
        ("wasbs://container@host/path", "ACCOUNT.blob.core.windows.net"),
        ("https://acct1.blob.core.windows.net/", "names no container"),
        ("https://acct1.blob.core.windows.net/c/x?sv=2020", "it has no sig="),
        ("https://acct1.blob.core.windows.net/c/x?snapshot=2020&sig=pa55", "snapshots are not read"),
        ("git+file:repo", "git+file:///REPOSITORY@REF#FOLDER"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(address: str, says: str) -> None:
    error = refusal(address)
    assert says in str(error)
    assert "pa55" not in str(error)


def test_nothing_is_asked_before_files_are_listed() -> None:
    source = opened("http://127.0.0.1:9/model.bin")
    assert (source.name, source.spoken, source.is_folder) == (
        "model.bin",
        "http://127.0.0.1:9/model.bin",
        False,
    )
    with pytest.raises(SourceError, match="connection refused"):
        source.entries()
