"""What is published is made from the declarations; the room knows no other; what `azmlinfsrv init` writes is right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from inference_server import definitions
from inference_server.definitions import read_deployment, read_endpoint
from inference_server.definitions.document import PATH, document
from inference_server.definitions.schema import FOLDER, schemas
from inference_server.scaffold import deployment as scaffold
from tests.tools import require_module

ROOM = Path(definitions.__file__).parent
WRITE = "run: python -m inference_server.definitions.document"


def test_the_page_is_current() -> None:
    require_module("yaml", "pyyaml")
    assert PATH.read_text(encoding="utf-8") == document(), WRITE


@pytest.mark.parametrize("name", schemas())
def test_the_schemas_are_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == schemas()[name], WRITE


def test_the_room_imports_only_the_ground_floor() -> None:
    for file in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("inference_server"):
                assert str(node.module).startswith(
                    ("inference_server.definitions", "inference_server.errors")
                ), f"{file.name} imports {node.module}"


def test_what_init_writes(tmp_path: Path) -> None:
    require_module("yaml", "pyyaml")
    for name in ("model.pkl", "score.py"):
        (tmp_path / name).touch()
    (tmp_path / "endpoint.yml").write_text(scaffold.endpoint("iris"))
    (tmp_path / "deployment.yml").write_text(scaffold.deployment("iris", "model.pkl", "3.11", ["numpy"]))
    endpoint, deployment = (
        read_endpoint(tmp_path / "endpoint.yml"),
        read_deployment(tmp_path / "deployment.yml"),
    )
    assert not (*endpoint.notes, *endpoint.refusals, *deployment.notes, *deployment.refusals)
    assert endpoint.made.name == deployment.made.endpoint_name == "iris"
