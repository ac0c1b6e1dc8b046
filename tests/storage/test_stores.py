"""The command against real stores: models out of S3 and Azure Blob, killed on the way, without a secret in sight."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.storage.bringing import Here, command, content, ended, leftovers, until
from tests.storage.emulators import S3, Azurite

pytestmark = pytest.mark.system
BODY = os.urandom(48 << 20)


def text_below(folder: Path) -> str:
    """Everything that a run wrote that is no model."""
    return "".join(path.read_text("utf-8", "replace") for path in folder.rglob("*.json"))


def test_a_folder_out_of_s3_killed_on_the_way(here: Here, s3: S3) -> None:
    bucket = s3.bucket()
    s3.put(bucket, "models/iris/model.bin", BODY)
    s3.put(bucket, "models/iris/conf/labels.txt", b"labels")
    words = (f"s3://{bucket}/models/iris", here.dest, "--connections", "2")
    run = command(here, *words, **s3.environ)
    until(
        lambda: any(path.stat().st_size > 100 for path in here.cache.glob("parts/*.list")), "parts are there"
    )
    run.send_signal(signal.SIGKILL)
    ended(run)
    assert not here.dest.exists()
    code, out, err = ended(command(here, *words, **s3.environ))
    assert (code, err) == (0, "")
    assert content(here.dest) == {"model.bin": BODY, "conf/labels.txt": b"labels"}
    assert " came) in " in out
    assert leftovers(here) == set()
    assert s3.secret not in out + text_below(here.root)
    assert "nothing to do" in ended(command(here, *words, **s3.environ))[1]


def test_a_blob_with_a_signature_that_nobody_sees(here: Here, azurite: Azurite) -> None:
    container = azurite.container()
    azurite.put(container, "iris/model.bin", BODY[: 3 << 20])
    dest = here.root / "app" / "azureml-models" / "iris" / "1"
    sas = azurite.sas()
    code, out, err = ended(command(here, azurite.url(container, "iris", sas), dest))
    assert (code, err) == (0, "")
    assert content(dest) == {"iris/model.bin": BODY[: 3 << 20]}
    signature = sas.partition("sig=")[2]
    assert signature
    assert signature not in out + text_below(here.root)
    again = ended(
        command(here, azurite.url(container, "iris", azurite.sas(ends="2098-01-01T00:00:00Z")), dest)
    )
    assert "nothing to do" in again[1]  # a renewed right is the same source
    code, _, err = ended(
        command(here, azurite.url(container, "iris", sas.replace("sig=", "sig=x")), here.root / "no")
    )
    assert code == 1
    assert err.count("\n") == 1
    assert signature not in err
