"""Tokens of identities: what is asked of whom, and that the store is then asked with the token.

The endpoints of Azure and AWS are stubs here: they answer as documented, and keep what they were asked.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from inference_server.storage.source import Cut
from tests.storage import emulators
from tests.storage.emulators import S3
from tests.storage.flaky_http import FlakyHttp, Status
from tests.storage.sources.opened import fetched, opened, refusal, text
from tests.storage.sources.test_http import make_certificate

IMDS = "/metadata/identity/oauth2/token"
CONTENT = b"the model"


def token(value: str = "t0ken") -> bytes:
    return json.dumps(
        {"access_token": value, "expires_on": str(int(time.time()) + 3600), "expires_in": 3600}
    ).encode()


def store(web: FlakyHttp) -> dict[str, str]:
    """A stub of Blob Storage that wants the token; the environment that leads there."""
    headers = {"Last-Modified": "Wed, 01 May 2024 10:00:00 GMT"}
    web.put("/acct1/c/m.bin", CONTENT, etag='"1"', authorization="Bearer t0ken", headers=headers)
    return {"AZURE_STORAGE_ACCOUNT": "acct1", "AZURE_STORAGE_BLOB_ENDPOINT": web.url("/acct1")}


@pytest.mark.parametrize("client", ["", "11111111-2222"])
@pytest.mark.parametrize(
    ("form", "version", "header", "names"),
    [
        ("app service", "2019-08-01", ("x-identity-header", "pa55"), "client_id"),
        ("msi", "2017-09-01", ("secret", "pa55"), "clientid"),
        ("imds", "2018-02-01", ("metadata", "true"), "client_id"),
    ],
)
def test_managed_identity(
    web: FlakyHttp, form: str, version: str, header: tuple[str, str], names: str, client: str
) -> None:
    web.put("/msi/token", token())
    web.put(IMDS, token())
    environ = {
        "app service": {"IDENTITY_ENDPOINT": web.url("/msi/token"), "IDENTITY_HEADER": "pa55"},
        "msi": {"MSI_ENDPOINT": web.url("/msi/token"), "MSI_SECRET": "pa55"},
        "imds": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": web.url("")},
    }[form]
    environ |= store(web) | ({"AZURE_CLIENT_ID": client} if client else {})
    assert fetched("az://c/m.bin", environ) == {"m.bin": CONTENT}
    asked = [
        seen for seen in web.requests(IMDS if form == "imds" else "/msi/token") if "metadata" in seen.headers
    ]
    assert len(asked) == 1  # the token serves for all
    expected = {"api-version": version, "resource": "https://storage.azure.com/"}
    assert dict(parse_qsl(urlsplit(asked[0].path).query)) == (
        expected | {names: client} if client else expected
    )
    assert asked[0].headers[header[0]] == header[1]


def test_an_identity_that_gets_no_token(web: FlakyHttp) -> None:
    environ = {
        "IDENTITY_ENDPOINT": web.url("/msi/token"),
        "IDENTITY_HEADER": "pa55",
        "AZURE_CLIENT_ID": "1111",
    }
    environ |= store(web)
    for answer, says, temporary in (
        (
            Status(400, body=b'{"error": "pa55"}'),
            "refuses a token (400): see that the identity is assigned",
            False,
        ),
        (Status(429), "answers 429 for now", True),
        (Status(503), "answers 503 for now", True),
        (Status(200, body=b"pa55"), "what its endpoint answers is no token", False),
    ):
        web.put("/msi/token", token(), faults=[answer] * 5)
        error = refusal("az://c/m.bin", environ)
        assert "the user assigned managed identity 1111" in str(error)
        assert says in str(error)
        assert isinstance(error, Cut) is temporary
        assert "pa55" not in str(error)
    web.put("/msi/token", token("another"))
    assert "may not be read with the user assigned managed identity 1111 (401)" in str(
        refusal("az://c/m.bin", environ)
    )
    unreachable = environ | {"IDENTITY_ENDPOINT": "http://127.0.0.1:9/"}
    assert "its endpoint cannot be reached" in str(refusal("az://c/m.bin", unreachable))


def test_a_token_is_asked_for_again_after_a_failure(web: FlakyHttp) -> None:
    web.put("/msi/token", token(), faults=[Status(503)])
    environ = store(web) | {"IDENTITY_ENDPOINT": web.url("/msi/token"), "IDENTITY_HEADER": "pa55"}
    source = opened("az://c/m.bin", environ)
    with pytest.raises(Cut):
        source.entries()
    [entry] = source.entries()
    assert b"".join(bytes(piece) for piece in source.read(entry, 0, entry.size)) == CONTENT


def test_workload_identity_and_service_principal(web: FlakyHttp, tmp_path: Path) -> None:
    web.put("/tenant/oauth2/v2.0/token", token())
    ids = {"AZURE_CLIENT_ID": "client", "AZURE_TENANT_ID": "tenant", "AZURE_AUTHORITY_HOST": web.url("")}
    federated = {"AZURE_FEDERATED_TOKEN_FILE": text(tmp_path / "token", "f3derated")}
    secret = {"AZURE_CLIENT_SECRET": "pa55"}
    for more, expected in (
        (federated, {"client_assertion": "f3derated", "client_id": "client"}),
        (secret, {"client_secret": "pa55", "client_id": "client"}),
    ):
        web.seen.clear()
        assert fetched("az://c/m.bin", store(web) | ids | more) == {"m.bin": CONTENT}
        [asked] = web.requests("/tenant/oauth2/v2.0/token")
        assert expected.items() <= dict(parse_qsl(asked.body.decode())).items()
    web.put("/tenant/oauth2/v2.0/token", faults=[Status(401, body=b'{"error": "pa55"}')] * 5)
    error = refusal("az://c/m.bin", store(web) | ids | secret)
    assert "no access token was given to the service principal client (401)" in str(error)
    assert "pa55" not in str(error)
    gone = ids | {"AZURE_FEDERATED_TOKEN_FILE": "/none"}
    assert "AZURE_FEDERATED_TOKEN_FILE=/none is no file" in str(refusal("az://c/m.bin", store(web) | gone))


def test_without_any_identity_all_that_was_looked_for_is_said(web: FlakyHttp) -> None:
    error = refusal("az://c/m.bin", store(web))
    assert (
        "may not be read without credentials (401); looked for: a SAS in the address, AZURE_STORAGE_"
        in str(error)
    )


@pytest.mark.system
def test_azurite_takes_the_token(tmp_path: Path, web: FlakyHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    authority = make_certificate(key, certificate)
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
        "oid": "1",
        "tid": "ab1f708d-50f6-404c-a006-d71b2ac7a606",
    }
    parts = ({"alg": "RS256", "typ": "JWT"}, claims, {})  # Azurite reads the claims, not the signature
    jwt = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    web.put("/msi/token", token(jwt))
    options = ("--oauth", "basic", "--cert", str(certificate), "--key", str(key))
    with emulators.azurite(tmp_path, *options, scheme="https", account="acct1") as server:
        container = server.container()
        server.put(container, "m/m.bin", CONTENT)
        environ = {
            "AZURE_STORAGE_ACCOUNT": "acct1",
            "AZURE_STORAGE_BLOB_ENDPOINT": server.endpoint,
            "IDENTITY_ENDPOINT": web.url("/msi/token"),
            "IDENTITY_HEADER": "pa55",
        }
        trusting = {**environ, "SSL_CERT_FILE": authority}
        assert fetched(server.url(container, "m"), trusting) == {"m.bin": CONTENT}
        monkeypatch.delenv("SSL_CERT_FILE")
        error = refusal(server.url(container, "m"), environ)
        assert "the certificate of 127.0.0.1:" in str(error)


@pytest.mark.system
def test_the_role_of_a_container_in_aws(s3: S3, web: FlakyHttp, tmp_path: Path) -> None:
    bucket = s3.bucket()
    s3.put(bucket, "m.bin", CONTENT)
    keys = {
        "AccessKeyId": s3.key,
        "SecretAccessKey": s3.secret,
        "Token": "",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    web.put("/keys", json.dumps(keys).encode(), authorization="pa55")
    environ = {
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": web.url("/keys"),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": text(tmp_path / "token", "pa55"),
    }
    assert fetched(f"s3://{bucket}/m.bin", environ) == {"m.bin": CONTENT}
    web.put("/keys", faults=[Status(403, body=b"pa55")] * 5)
    error = refusal(f"s3://{bucket}/m.bin", environ)
    assert "no access token was given to the role of this container (403)" in str(error)
    assert "pa55" not in str(error)
