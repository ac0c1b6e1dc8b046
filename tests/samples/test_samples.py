"""The sample models, served by the real command: each README's request gets each README's answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.running import Server, clean_environment, command, free_port
from tests.tools import ROOT, require_module

SAMPLES = ROOT / "sample_models"
ServeSample = Callable[[str], Server]


@pytest.fixture
def serve_sample(tmp_path: Path) -> Iterator[ServeSample]:
    """Starts the command that the sample's README shows."""
    started: list[Server] = []

    def start(name: str) -> Server:
        folder, port = SAMPLES / name, free_port()
        line = command(
            "--entry_script", str(folder / "score.py"), "--model_dir", str(folder), "--port", str(port)
        )
        server = Server(line, port, tmp_path, clean_environment())
        started.append(server)
        return server.wait_ready()

    yield start
    for server in started:
        server.stop()


def request_of(name: str) -> Any:
    return json.loads((SAMPLES / name / "request.json").read_text())


def readme_answer(name: str) -> Any:
    """The answer that the sample's README promises: its one indented line."""
    (line,) = re.findall(r"^    (\[.*\])$", (SAMPLES / name / "README.md").read_text(), re.MULTILINE)
    return json.loads(line)


def test_iris(serve_sample: ServeSample) -> None:
    require_module("sklearn", "scikit-learn==1.7.2")
    reply = serve_sample("sklearn-iris").score(request_of("sklearn-iris"))
    assert (reply.status, reply.json()) == (200, readme_answer("sklearn-iris"))


def test_onnx_says_where_it_really_runs(serve_sample: ServeSample) -> None:
    require_module("onnxruntime")
    server = serve_sample("onnx-digits")
    reply = server.score(request_of("onnx-digits"))
    assert reply.status == 200
    assert_same_digits(reply.json(), readme_answer("onnx-digits"))
    assert re.search(r"onnx-digits runs on (CUDA|CPU)ExecutionProvider", server.log())


@pytest.mark.torch
def test_torch(serve_sample: ServeSample) -> None:
    server = serve_sample("torch-digits")
    reply = server.score(request_of("torch-digits"))
    assert reply.status == 200
    assert_same_digits(reply.json(), readme_answer("torch-digits"))
    assert "torch-digits runs on " in server.log()


@pytest.mark.gpu
@pytest.mark.torch
def test_torch_takes_the_gpu(serve_sample: ServeSample) -> None:
    server = serve_sample("torch-digits")
    assert server.score(request_of("torch-digits")).status == 200
    assert "torch-digits runs on the CPU" not in server.log()


def test_a_bad_request_costs_only_itself(serve_sample: ServeSample) -> None:
    require_module("sklearn", "scikit-learn==1.7.2")
    server = serve_sample("sklearn-iris")
    assert server.score({"data": [["not", "a", "flower", "!"]]}).status == 500
    assert server.score(request_of("sklearn-iris")).status == 200


def assert_same_digits(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """The same digits, with probabilities as near as another processor makes them."""
    assert [row["digit"] for row in got] == [row["digit"] for row in wanted]
    for row, other in zip(got, wanted, strict=True):
        assert row["probability"] == pytest.approx(other["probability"], abs=1e-3)


@pytest.mark.parametrize("name", ["sklearn-iris", "onnx-digits", "torch-digits"])
def test_every_sample_is_complete(name: str) -> None:
    """Script, request, requirements, page and the script that trained it; and the list of samples names it."""
    for file in ("score.py", "train.py", "request.json", "requirements.txt", "README.md"):
        assert (SAMPLES / name / file).is_file(), file
    assert f"[{name}]({name}/)" in (SAMPLES / "README.md").read_text()
