"""Swagger documents, compared whole: `swagger/` holds those that each script below must have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_server.scoring import openapi
from inference_server.scoring.config import ScoringConfig
from tests.scoring.driving import BARE, Driven

Drive = Callable[..., Driven]

EXPECTED = Path(__file__).with_name("swagger")

IMPORTS = """
import numpy as np, pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
def init(): pass
"""

SCRIPTS = {
    "plain": "def init(): pass\ndef run(data): pass",
    "typed": IMPORTS
    + """
@input_schema("a", NumpyParameterType(np.array([[1.0, 2.0]])))
@input_schema("b", PandasParameterType(pd.DataFrame({"x": [1, 2], "y": ["u", "v"]})))
@output_schema(StandardPythonParameterType([1, 2]))
def run(a, b, c=3, request_headers=None): return [a.shape[0], len(b), c]
""",
    "mixed": IMPORTS
    + """
@output_schema(StandardPythonParameterType({"r": [1, "x"]}))
def run(data): return {"got": data}
""",
}


def expected(script: str) -> dict[str, Any]:
    return json.loads((EXPECTED / f"{script}.json").read_text())


@pytest.mark.parametrize("name", SCRIPTS)
def test_generated_documents(drive: Drive, name: str) -> None:
    script = drive(SCRIPTS[name], python=BARE) if name == "plain" else drive(SCRIPTS[name])
    documents = expected(name)
    assert script.facts["swaggers"] == documents
    assert list(script.facts["swaggers"]) == list(documents)


def test_schema_scripts_are_called_by_the_names_of_run(drive: Drive) -> None:
    script = drive(SCRIPTS["typed"])
    assert script.facts["mode"] == "schema"
    assert (script.facts["needs_headers"], script.facts["needs_content_type"]) == (True, True)
    assert "with @input_schema. Server will invoke it with the following arguments: a, b, c.\n" in script.log
    rows = [{"x": 1, "y": "u"}, {"x": 2, "y": "v"}]
    assert script.post_json({"a": [[1, 2], [3, 4]], "b": rows}).json == [2, 2, 3]
    wrong = script.post_json({"a": [[1]], "b": rows})
    assert (wrong.status, wrong.failed) == (500, True)
    assert script.post("{}", [("content-type", "text/plain")]).status == 415
    assert script.get("a=[[1,2]]&b=[]").status in (200, 500)


def test_a_version_that_cannot_express_the_schema_is_left_out(drive: Drive) -> None:
    script = drive(SCRIPTS["mixed"])
    assert list(script.facts["swaggers"]) == ["3", "3.1"]
    assert "Swaggers are prepared for versions [3, 3.1] and skipped for versions [2].\n" in script.log
    assert script.facts["mode"] == "schema"


def test_service_facts_and_prefix() -> None:
    config = ScoringConfig(service_name="svc", service_version="2.1", service_path_prefix="/a/b/")
    for version in openapi.VERSION_KEYS:
        document = openapi.document(version, config, {}, {})
        assert document["info"] == {
            "title": "svc",
            "description": "API specification for the Azure Machine Learning service svc",
            "version": "2.1",
        }
        assert list(document["paths"]) == ["/a/b/", "/a/b/score", "/a/b/swagger.json"]


def test_the_users_own_files_win(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / "swagger2.json").write_text('{"second": "choice"}')
    (tmp_path / "swagger3.json").write_text("[1]")
    (tmp_path / "swagger3.1.json").write_text("{}")
    script = drive(SCRIPTS["plain"], python=BARE)
    documents = {**expected("plain"), "2": {"second": "choice"}, "3": [1]}
    assert script.facts["swaggers"] == documents
    line = f"Loaded user's swagger file for version [2] from {tmp_path}/swagger2.json"
    assert f"azmlinfsrv.swagger - {line}\n" in script.log
    (tmp_path / "swagger.json").write_text('{"first": "choice"}')
    assert drive(SCRIPTS["plain"], python=BARE).facts["swaggers"]["2"] == {"first": "choice"}


@pytest.mark.parametrize("content", [b"{bad", b"\xff"])
def test_a_broken_file_of_the_users_stops_the_start(drive: Drive, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "swagger3.json").write_bytes(content)
    script = drive(SCRIPTS["plain"], python=BARE)
    assert script.facts["summary"].startswith(
        f"The swagger file {tmp_path}/swagger3.json cannot be read as JSON: "
    )


def test_samples_without_a_json_form_cost_the_documents_only(drive: Drive) -> None:
    script = drive(
        IMPORTS
        + """
class Odd(StandardPythonParameterType):
    def input_to_swagger(self): return {"type": "object", "example": object()}
@input_schema("data", Odd(1))
def run(data): return data
"""
    )
    assert script.facts["swaggers"] == {}
    assert "azmlinfsrv.swagger - No swagger is prepared.\n" in script.log
    assert script.post_json({"data": 5}).json == 5
