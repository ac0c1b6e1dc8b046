"""Repositories of the Hub, read with the real huggingface_hub from a stub of its server: no Hub can be run here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.storage.flaky_http import FlakyHttp, Status
from tests.storage.sources.elsewhere import Elsewhere

COMMIT = "c" * 40
WEIGHTS = b"weights " * 200_000
TOKEN = "Bearer hf_pa55"


def lay(web: FlakyHttp, storage: FlakyHttp) -> None:
    """A repository of one small and one large file, which lies elsewhere, as the Hub keeps such."""
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    large = {"lfs": {"sha256": sha256, "size": len(WEIGHTS), "pointerSize": 134}, "size": len(WEIGHTS)}
    siblings = [
        {"rfilename": "config.json", "size": 2, "blobId": "b" * 40},
        {"rfilename": "onnx/model.onnx", "blobId": "d" * 40, **large},
    ]
    info = json.dumps({"id": "org/name", "modelId": "org/name", "sha": COMMIT, "siblings": siblings}).encode()
    for folder, prefix in (("models", ""), ("datasets", "/datasets")):
        for revision in ("main", "v1"):
            kind = {"Content-Type": "application/json"}
            web.put(f"/api/{folder}/org/name/revision/{revision}", info, headers=kind, authorization=TOKEN)
        web.put(f"{prefix}/org/name/resolve/{COMMIT}/config.json", b"{}", authorization=TOKEN)
        web.put(f"{prefix}/org/name/resolve/{COMMIT}/onnx/model.onnx", redirect=storage.url("/blob?sig=pa55"))
    storage.put("/blob", WEIGHTS)
    not_found = {"X-Error-Code": "RepoNotFound"}
    web.put("/api/models/org/none/revision/main", faults=[Status(404, headers=not_found)])


@pytest.mark.system
def test_the_hub(web: FlakyHttp, tmp_path: Path) -> None:
    with FlakyHttp() as storage:
        lay(web, storage)
        web.put("/api/models/org/busy/revision/main", faults=[Status(503)] * 50)
        there = Elsewhere(tmp_path, {"HF_ENDPOINT": web.url(""), "HF_TOKEN": "hf_pa55"})
        whole, folder, file, data, missing, none, busy, wrong = there.fetched(
            "hf://org/name",
            "hf://models/org/name@v1/onnx",
            "hf://org/name@v1/onnx/model.onnx",
            "hf://datasets/org/name/config.json",
            "hf://org/name/none",
            "hf://org/none",
            "hf://org/busy",
            "hf://org",
        )
        assert not any("authorization" in seen.headers for seen in storage.seen)
    assert (whole["spoken"], whole["name"], whole["folder"]) == ("hf://org/name", "name", True)
    assert whole["files"] == {"config.json": "{}", "onnx/model.onnx": WEIGHTS.decode()}
    assert whole["sums"] == {"config.json": "", "onnx/model.onnx": hashlib.sha256(WEIGHTS).hexdigest()}
    assert (folder["name"], folder["files"]) == ("onnx", {"model.onnx": WEIGHTS.decode()})
    assert (file["folder"], file["files"]) == (False, {"model.onnx": WEIGHTS.decode()})
    assert data["files"] == {"config.json": "{}"}
    assert missing["error"] == "hf://org/name/none: there is no none in main of org/name"
    assert "there is no such model, or it is private: set HF_TOKEN" in str(none["error"])
    assert (busy["kind"], "answers 503 for now" in str(busy["error"])) == ("Cut", True)
    assert "is no repository of the Hub" in str(wrong["error"])
