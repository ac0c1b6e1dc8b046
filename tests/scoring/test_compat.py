"""The module names scripts import, beside a really installed azureml and without one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scoring.driving import ROOT, Driven

Drive = Callable[..., Driven]


def run(code: str, *path: Path) -> str:
    """What `code` prints, in a Python of its own with the names installed and `path` in front of sys.path."""
    start = "import sys; from inference_server.scoring import compat; compat.install(); compat.install()\n"
    start += f"sys.path[:0] = {[str(entry) for entry in path]!r}\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", start + code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PYTHONPATH": str(ROOT.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "form",
    [
        "from azureml_inference_server_http.api.aml_request import rawhttp, AMLRequest",
        "from azureml_inference_server_http.api.aml_request import *",
        "from azureml_inference_server_http.api import aml_request, aml_response; aml_request.rawhttp",
        "import azureml_inference_server_http.api.aml_request as m; m.rawhttp",
        "import azureml_inference_server_http.api.aml_response; azureml_inference_server_http.api.aml_response.AMLResponse",
        "from azureml.contrib.services.aml_request import rawhttp, AMLRequest",
        "from azureml.contrib.services.aml_request import *; rawhttp, AMLRequest",
        "from azureml.contrib.services.aml_response import AMLResponse",
        "import azureml.contrib.services.aml_request; azureml.contrib.services.aml_request.rawhttp",
        "from azureml.contrib.services import aml_request, aml_response; aml_response.AMLResponse",
        "import azureml.contrib.services",
        "from azureml_inference_server_http.log_config import AMLLogFormatter, RootAccessFilter",
    ],
)
def test_every_form_of_import(form: str) -> None:
    run(form)


def test_the_version_scripts_compare_with() -> None:
    assert run("import azureml_inference_server_http as m; print(m.__version__)") == "1.5.1"


def test_both_names_are_one_thing() -> None:
    run(
        "from azureml.contrib.services.aml_response import AMLResponse as a\n"
        "from azureml_inference_server_http.api.aml_response import AMLResponse as b\n"
        "assert a is b"
    )


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    loaded = run(
        "print([m for m in sys.modules if m.startswith('azureml') or m.endswith(('aml_request', 'logs'))])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize(
    "name", ["azureml.core", "azureml.contrib.other", "azureml_inference_server_http.server"]
)
def test_what_is_nobodys_is_not_there(name: str) -> None:
    run(
        f"try: import {name}\n"
        f"except ModuleNotFoundError as error: assert error.name == {name!r}\n"
        "else: raise AssertionError"
    )


def install(folder: Path, *modules: str) -> Path:
    for module in modules:
        file = folder / module
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("real = True")
    return folder


@pytest.mark.parametrize("regular", [True, False], ids=["with __init__.py", "namespace"])
def test_a_really_installed_azureml_stays_itself(tmp_path: Path, regular: bool) -> None:
    modules = ["azureml/core/run.py", "azureml/contrib/other.py", "azureml/contrib/services/aml_request.py"]
    if regular:
        modules += ["azureml/__init__.py", "azureml/contrib/__init__.py"]
    install(tmp_path, *modules)
    run(
        "import azureml.core.run, azureml.contrib.other\n"
        "assert azureml.core.run.real and azureml.contrib.other.real\n"
        f"assert getattr(azureml, 'real', False) is {regular}\n"
        "from azureml.contrib.services.aml_request import rawhttp\n"
        "from azureml.contrib.services.aml_response import AMLResponse",
        tmp_path,
    )


def test_an_azureml_without_contrib_gets_ours_beside_it(tmp_path: Path) -> None:
    install(tmp_path, "azureml/__init__.py", "azureml/core.py")
    run(
        "from azureml.contrib.services import aml_request\nimport azureml.core\nassert azureml.real", tmp_path
    )


def test_an_azureml_that_appears_later_is_found(tmp_path: Path) -> None:
    install(tmp_path, "azureml/core/__init__.py", "azureml/contrib/other.py")
    run(
        "from azureml.contrib.services import aml_request\n"
        f"sys.path.append({str(tmp_path)!r})\n"
        "import azureml.core, azureml.contrib.other\n"
        "assert azureml.core.real and azureml.contrib.other.real"
    )


def test_the_real_server_package_gives_way_to_ours(tmp_path: Path) -> None:
    install(
        tmp_path,
        "azureml_inference_server_http/__init__.py",
        "azureml_inference_server_http/api/aml_request.py",
    )
    run("from azureml_inference_server_http.api.aml_request import rawhttp", tmp_path)


def test_the_names_work_in_a_script(drive: Drive) -> None:
    script = drive(
        """
        import azureml_inference_server_http as server
        from azureml.contrib.services.aml_response import AMLResponse
        def init(): pass
        def run(data): return AMLResponse({"v": server.__version__}, 200, json_str=True)
        """
    )
    assert script.post("").json == {"v": "1.5.1"}
