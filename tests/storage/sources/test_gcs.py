"""Google Cloud Storage, against fake-gcs-server (its downloads; it knows no rights)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from inference_server.storage.source import Changed
from tests.storage.emulators import Gcs
from tests.storage.sources.opened import fetched, opened, refusal, text

CONTENT = random.Random(9).randbytes(2_000_000)


@pytest.mark.system
def test_an_object_and_a_folder(gcs: Gcs) -> None:
    bucket = gcs.bucket()
    gcs.put(bucket, "m/model.bin", CONTENT)
    gcs.put(bucket, "m/conf/a b.json", b"{}")
    source = opened(f"gs://{bucket}/m", gcs.environ)
    assert (source.name, source.spoken) == ("m", f"gs://{bucket}/m")
    assert fetched(f"gs://{bucket}/m", gcs.environ) == {"model.bin": CONTENT, "conf/a b.json": b"{}"}
    assert fetched(f"gs://{bucket}/m/model.bin", {"STORAGE_EMULATOR_HOST": f"http://{gcs.host}/"}) == {
        "model.bin": CONTENT
    }
    assert f"there is no such file or folder in the bucket {bucket}" in str(
        refusal(f"gs://{bucket}/none", gcs.environ)
    )
    assert "there is no bucket none-such" in str(refusal("gs://none-such/x", gcs.environ))

    source = opened(f"gs://{bucket}/m/model.bin", gcs.environ)
    [entry] = source.entries()
    gcs.put(bucket, "m/model.bin", CONTENT[::-1])
    with pytest.raises(Changed):
        list(source.read(entry, 0, 100))


def test_files_of_credentials_that_are_none(tmp_path: Path) -> None:
    for content, says in (
        ("pa55", "is no file of credentials"),
        (json.dumps({"type": "external_account", "secret": "pa55"}), "is of the kind external_account"),
        (
            json.dumps({"type": "service_account", "private_key": "pa55"}),
            "cannot be asked for with GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ):
        path = text(tmp_path / "adc.json", content)
        error = refusal("gs://bucket/x", {"GOOGLE_APPLICATION_CREDENTIALS": path})
        assert "pa55" not in str(error)
        if "external" not in content or "pip install" in str(error):
            assert says in str(error)
    assert "cannot be read: No such file" in str(
        refusal("gs://b/x", {"GOOGLE_APPLICATION_CREDENTIALS": "/none"})
    )
