"""The client for users' own tests: it answers as the server would, and leaves the process as it found it."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inference_server.testing import ScriptClient, UserScriptError

Write = Callable[[str], Path]

DIVIDES = """
    import json, os

    def init():
        global model, folder
        model, folder = (lambda x: 12 / x), os.environ["AZUREML_MODEL_DIR"]

    def run(data):
        return {"result": model(json.loads(data)), "folder": folder}
"""
RAW = """
    from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
    from azureml_inference_server_http.api.aml_response import AMLResponse

    def init(): pass

    @rawhttp
    def run(request: AMLRequest):
        if request.method == "GET":
            return AMLResponse(dict(request.args), 201, {"X-Who": request.headers["x-who"]}, json_str=True)
        return request.get_data()[::-1]
"""
SCHEMA = """
    import numpy as np
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.schema_decorators import input_schema

    def init(): pass

    @input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
    def run(data):
        return data.sum(axis=1)
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_script(text: str, name: str = "score.py") -> Path:
        (tmp_path / name).write_text(textwrap.dedent(text))
        return tmp_path / name

    return write_script


def test_a_plain_script(write: Write) -> None:
    with ScriptClient(write(DIVIDES), model_dir="models/7") as client:
        response = client.score(3)
        assert (response.status_code, response.json()) == (200, {"result": 4.0, "folder": "models/7"})
        assert response.headers["content-type"] == "application/json"
        assert response.headers["X-Ms-Run-Function-Failed"] == "False"
        assert response.run_ms is not None
        client.module.model = lambda x: "a stand-in"  # type: ignore[attr-defined]
        assert client.score(3).json()["result"] == "a stand-in"


def test_what_run_raises_reaches_the_test_with_the_scripts_line(write: Write) -> None:
    script = write(DIVIDES)
    with ScriptClient(script, model_dir="m") as client:
        with pytest.raises(ZeroDivisionError) as raised:
            client.score(0)
        assert [entry.path for entry in raised.traceback][-2:] == [script, script]
        client.raise_errors = False
        response = client.score(0)
        assert response.status_code == 500
        assert response.json()["message"].startswith("An unexpected error occurred in scoring script")
        assert response.headers["x-ms-run-function-failed"] == "True"


def test_a_script_that_cannot_start_says_what_the_server_says(write: Write, tmp_path: Path) -> None:
    before = dict(os.environ), sys.path[:], set(sys.modules)
    with pytest.raises(UserScriptError, match="does not have a run"):
        ScriptClient(write("def init(): pass"))
    with pytest.raises(UserScriptError) as raised:
        ScriptClient(write("def init(): raise ValueError('no model')\ndef run(data): pass"))
    assert "ValueError: no model" in raised.value.summary
    assert isinstance(raised.value.__cause__, ValueError)
    with pytest.raises(UserScriptError, match="Failed to import") as missing:
        ScriptClient(tmp_path / "none.py")
    assert "does not exist" in missing.value.summary
    assert (dict(os.environ), sys.path, set(sys.modules)) == before


def test_refused_bodies_are_answers_not_exceptions(write: Write) -> None:
    with ScriptClient(write(SCHEMA)) as client:
        assert client.score({"data": np.array([[1.5, 2.0], [3.0, 4.0]])}).json() == [3.5, 7.0]
        assert client.score({"other": 1}).status_code == 400
        assert client.post("[]").status_code == 415
        assert client.get({"data": [[1, 2]]}).json() == [3.0]
        assert sorted(client.swagger) == ["2", "3", "3.1"]


def test_raw_scripts_and_plain_ones_beside_each_other(write: Write) -> None:
    with ScriptClient(write(RAW)) as raw, ScriptClient(write(DIVIDES, "other.py"), model_dir="m") as plain:
        assert raw.post(b"\x00abc").content == b"cba\x00"
        response = raw.get({"q": "a b&c"}, {"X-Who": "me"})
        assert (response.status_code, response.json()) == (201, {"q": "a b&c"})
        assert response.headers["x-who"] == "me"
        assert plain.score(6).json()["result"] == 2.0


def test_streams_coroutines_and_headers(write: Write) -> None:
    script = """
        def init(): pass
        async def run(data, request_headers):
            return items(request_headers["X-Name"])
        async def items(name):
            yield name
            yield "!"
    """
    with ScriptClient(write(script)) as client:
        response = client.score(None, {"x-name": "Ada"})
        assert (response.text, response.streamed) == ("Ada!", True)


def test_everything_is_put_back(write: Write, tmp_path: Path) -> None:
    (tmp_path / "helper_of_mine.py").write_text("answer = 1")
    text = "import helper_of_mine\ndef init(): pass\ndef run(data): return helper_of_mine.answer"
    before = dict(os.environ), sys.path[:]
    with ScriptClient(write(text), env={"A_VARIABLE": "1"}) as client:
        assert client.score(0).json() == 1
        assert os.environ["A_VARIABLE"] == "1"
    assert (dict(os.environ), sys.path) == before
    assert "helper_of_mine" not in sys.modules
    (tmp_path / "helper_of_mine.py").write_text("answer = 'changed'")
    with ScriptClient(write(text)) as client:
        assert client.score(0).json() == "changed"


def test_init_may_wait_for_a_stand_in(write: Write) -> None:
    with ScriptClient(write(DIVIDES), init=False, env={"AZUREML_MODEL_DIR": "x"}) as client:
        client.module.model, client.module.folder = len, ""  # type: ignore[attr-defined]
        assert client.score("four").json() == {"result": 4, "folder": ""}
        client.init()
        assert client.score(4).json() == {"result": 3.0, "folder": "x"}


def test_importing_needs_the_standard_library_alone() -> None:
    import subprocess

    code = "import inference_server.testing, sys; print([m for m in sys.modules if 'site-packages' in str(sys.modules[m])])"
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
