"""Whatever goes wrong, no secret is said: not in the error, its traceback, the source, the log or on the console."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping

import pytest

from inference_server.storage.source import SourceError
from tests.storage.flaky_http import Change, Cut, Fault, FlakyHttp, Length, Stall, Status
from tests.storage.sources.opened import all_said, opened

SECRET = "pa55w0rd"
KEY = base64.b64encode(b"pa55w0rd-pa55w0rd-pa55w0rd").decode()
SAS = f"sv=2020-08-04&sp=rl&sig={SECRET}%3D"
NOWHERE = "http://127.0.0.1:9"
ECHO = f"<Error><Code>Wrong</Code><Message>{SECRET} {KEY} {SAS}</Message></Error>".encode()

# Addresses below HOST, with what is in the environment.
ASKED: dict[str, tuple[str, Mapping[str, str]]] = {
    "http": (f"http://me:{SECRET}@HOST/m.bin?sig={SECRET}", {}),
    "sas": (f"http://HOST/devstoreaccount1/c/m.bin?{SAS}", {}),
    "folder with a sas": (f"http://HOST/devstoreaccount1/c/m/?{SAS}", {}),
    "key": (
        "az://c/m.bin",
        {
            "AZURE_STORAGE_ACCOUNT": "acct1",
            "AZURE_STORAGE_BLOB_ENDPOINT": "http://HOST/acct1",
            "AZURE_STORAGE_KEY": KEY,
        },
    ),
    "connection string": (
        "az://c/m.bin",
        {
            "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=acct1;AccountKey={KEY};BlobEndpoint=http://HOST/acct1"
        },
    ),
    "datastore": (
        "azureml://datastores/blobs/paths/m.bin",
        {"AZMLINFSRV_DATASTORES": f'{{"blobs": "http://HOST/devstoreaccount1/c?{SAS}"}}'},
    ),
    "service principal": (
        "az://c/m.bin",
        {
            "AZURE_STORAGE_ACCOUNT": "acct1",
            "AZURE_STORAGE_BLOB_ENDPOINT": "http://HOST/acct1",
            "AZURE_CLIENT_ID": "id",
            "AZURE_TENANT_ID": "tenant",
            "AZURE_CLIENT_SECRET": SECRET,
            "AZURE_AUTHORITY_HOST": "http://HOST",
        },
    ),
    "managed identity": (
        "az://c/m.bin",
        {
            "AZURE_STORAGE_ACCOUNT": "acct1",
            "AZURE_STORAGE_BLOB_ENDPOINT": "http://HOST/acct1",
            "IDENTITY_ENDPOINT": "http://HOST/token",
            "IDENTITY_HEADER": SECRET,
        },
    ),
    "s3": (
        "s3://bucket/m.bin",
        {
            "AWS_ENDPOINT_URL": "http://HOST",
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": SECRET,
        },
    ),
    "gcs": ("gs://bucket/m.bin", {"STORAGE_EMULATOR_HOST": "HOST"}),
}
PATHS = (
    "/m.bin",
    "/devstoreaccount1/c/m.bin",
    "/devstoreaccount1/c",
    "/acct1/c/m.bin",
    "/acct1/c",
    "/bucket/m.bin",
    "/bucket",
    "/token",
    "/tenant/oauth2/v2.0/token",
)
FAULTS: dict[str, Fault] = {
    **{
        str(code): Status(code, body=ECHO) for code in (301, 400, 401, 403, 404, 409, 412, 416, 429, 500, 503)
    },
    "nonsense": Status(200, body=ECHO),
    "cut": Cut(3),
    "stall": Stall(3),
    "too long": Length(1000),
    "changed": Change(b"another thing", '"2"'),
}


def tried(kind: str, host: str) -> str:
    """Everything that is said while an address is read; "" when it was read."""
    address, environ = ASKED[kind]
    said = ""
    try:
        source = opened(
            address.replace("HOST", host),
            {name: text.replace("HOST", host) for name, text in environ.items()},
        )
    except SourceError as error:
        return all_said(error)
    try:
        for entry in source.entries():
            list(source.read(entry, 0, entry.size))
        said = repr(vars(source)) + source.spoken
    except SourceError as error:
        said = all_said(error, source)
    finally:
        source.close()
    return said


@pytest.mark.parametrize("kind", ASKED)
def test_no_failure_says_a_secret(
    kind: str, web: FlakyHttp, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said = tried(kind, "127.0.0.1:9") + tried(kind, "none.invalid:80") + tried(kind, "127.0.0.1:port")
    for fault in FAULTS.values():
        for path in PATHS:
            headers = {"Last-Modified": "Wed, 01 May 2024 10:00:00 GMT"}
            web.put(
                path, b"content", etag='"1"', headers=headers, faults=[fault] * 8, look_faults=[fault] * 8
            )
        said += tried(kind, f"127.0.0.1:{web.port}")
    shown = capfd.readouterr()
    for text in (said, caplog.text, shown.out, shown.err):
        assert SECRET not in text
        assert KEY not in text
        assert base64.b64encode(f"me:{SECRET}".encode()).decode() not in text


@pytest.mark.parametrize(
    "environ",
    [
        {"AZURE_STORAGE_ACCOUNT": "acct1", "AZURE_STORAGE_KEY": f"{SECRET}!not base64"},
        {"AZURE_STORAGE_CONNECTION_STRING": SECRET},
        {"AZURE_STORAGE_CONNECTION_STRING": f"AccountKey={SECRET}"},
        {"AZURE_STORAGE_ACCOUNT": "acct1", "AZURE_STORAGE_SAS_TOKEN": f"%%%{SECRET}"},
        {"AZURE_STORAGE_ACCOUNT": "acct1", "AZURE_STORAGE_BLOB_ENDPOINT": f"https://me:{SECRET}@host:port"},
        {"GOOGLE_SERVICE_ACCOUNT_KEY": f'{{"private_key": "{SECRET}"'},
        {"AWS_ENDPOINT_URL": f"me:{SECRET}@host"},
        {"AZMLINFSRV_DATASTORES": f'{{"blobs": {{"account_key": "{SECRET}"}}}}'},
        {"AZMLINFSRV_DATASTORES": f'{{"blobs": "https://host/c?sig={SECRET}"'},
    ],
)
def test_nor_does_a_credential_that_is_none(environ: dict[str, str]) -> None:
    for address in ("az://c/m", "gs://bucket/m", "s3://bucket/m", "azureml://datastores/blobs/paths/m"):
        unreachable = {"AWS_SKIP_SIGNATURE": "1", "GOOGLE_BASE_URL": NOWHERE, "AWS_ENDPOINT_URL": NOWHERE}
        with pytest.raises(SourceError) as caught:
            opened(
                address, unreachable | {"AZURE_STORAGE_BLOB_ENDPOINT": f"{NOWHERE}/acct1"} | environ
            ).entries()
        assert SECRET not in all_said(caught.value)
