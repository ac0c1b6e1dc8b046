"""S3, against SeaweedFS."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from inference_server.storage.source import Changed, Cut
from tests.storage.emulators import S3
from tests.storage.sources.opened import fetched, opened, refusal, text

CONTENT = random.Random(8).randbytes(3_000_000)
MODEL = {"model.bin": CONTENT, "conf/a b+1%.json": b"{}", "conf/ünï.txt": b"text", "empty": b""}

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def bucket(s3: S3) -> str:
    name = s3.bucket()
    for path, content in MODEL.items():
        s3.put(name, f"models/iris/{path}", content)
    s3.put(name, "models/iris-2/model.bin", b"another")
    return name


def test_an_object_and_a_folder(s3: S3, bucket: str) -> None:
    source = opened(f"s3://{bucket}/models/iris", s3.environ)
    assert (source.name, source.spoken) == ("iris", f"s3://{bucket}/models/iris")
    assert {entry.path: entry.size for entry in source.entries()} == {
        path: len(data) for path, data in MODEL.items()
    }
    assert fetched(f"s3://{bucket}/models/iris/", s3.environ) == MODEL
    assert fetched(f"s3a://{bucket}/models/iris/conf/a b+1%.json", s3.environ) == {"a b+1%.json": b"{}"}

    source = opened(f"s3://{bucket}/models/iris/model.bin", s3.environ)
    [entry] = source.entries()
    assert (source.is_folder, entry.path, entry.size) == (False, "model.bin", len(CONTENT))
    assert b"".join(bytes(piece) for piece in source.read(entry, 1000, 2_900_000)) == CONTENT[1000:2_900_000]


def test_profiles_of_aws(s3: S3, bucket: str, tmp_path: Path) -> None:
    keys = f"aws_access_key_id = {s3.key}\naws_secret_access_key = {s3.secret}\n"
    home = {"HOME": str(tmp_path)}
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\n{keys}")
    text(
        tmp_path / "mine", f"[team]\n{keys}[role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = team\n"
    )
    (tmp_path / ".aws" / "config").write_text(
        f"[default]\nregion = us-east-1\nendpoint_url = {s3.endpoint}\n[profile team]\nendpoint_url = {s3.endpoint}\n"
    )
    address = f"s3://{bucket}/models/iris/model.bin"
    assert fetched(address, home) == {"model.bin": CONTENT}
    team = {**home, "AWS_PROFILE": "team", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "mine")}
    assert fetched(address, team) == {"model.bin": CONTENT}
    assert "AWS_PROFILE=none: there is no such profile" in str(
        refusal(address, {**home, "AWS_PROFILE": "none"})
    )
    assert "pip install boto3" in str(refusal(address, {**team, "AWS_PROFILE": "role"}))


def test_what_cannot_be_read(s3: S3, bucket: str) -> None:
    nothing = {"AWS_ENDPOINT_URL": s3.endpoint}
    wrong = {**s3.environ, "AWS_SECRET_ACCESS_KEY": "pa55"}
    for path, environ, says in (
        ("models/none", s3.environ, f"there is no such file or folder in the bucket {bucket}"),
        ("models/none/", s3.environ, f"there is no such file or folder in the bucket {bucket}"),
        (
            "models/iris",
            wrong,
            "with AWS_ACCESS_KEY_ID (403 SignatureDoesNotMatch): it is wrong, or not valid any more",
        ),
        (
            "models/iris",
            nothing,
            "may not be read without credentials (403 AccessDenied); looked for: AWS_ACCESS_KEY_ID",
        ),
    ):
        error = refusal(f"s3://{bucket}/{path}", environ)
        assert says in str(error)
        assert "pa55" not in str(error)
    assert "there is no bucket none-such" in str(refusal("s3://none-such/x", s3.environ))


def test_what_is_not_reached() -> None:
    error = refusal("s3://bucket/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_SKIP_SIGNATURE": "1"})
    assert isinstance(error, Cut)
    assert "nobody listens at 127.0.0.1:9" in str(error)
    error = refusal("s3://bucket/x", {"AWS_ENDPOINT_URL": "http://none.invalid", "AWS_SKIP_SIGNATURE": "1"})
    assert isinstance(error, Cut)
    assert "the host none.invalid is not known here" in str(error)


def test_an_object_that_changes_is_not_mixed(s3: S3, bucket: str) -> None:
    s3.put(bucket, "changing", CONTENT)
    source = opened(f"s3://{bucket}/changing", s3.environ)
    [entry] = source.entries()
    s3.put(bucket, "changing", CONTENT[::-1])
    with pytest.raises(Changed):
        list(source.read(entry, 0, 100))
