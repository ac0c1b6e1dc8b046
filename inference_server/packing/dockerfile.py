"""The Dockerfile of a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from inference_server import __version__
from inference_server.packing.recipe import MODELS, Recipe

APP = "/var/azureml-app"
WHEELS = "wheels"
MARK = "# Written by azmlinfsrv build"
_PIP = "/tmp/packages"
_SERVER_CHECK = (
    "{ command -v azmlinfsrv > /dev/null "
    "|| { echo 'this base has no azmlinfsrv: name one that is made from the image azmlinfsrv with --base'; exit 1; }; }"
)
_PYTHON_CHECK = (
    "import sys; v = sys.version_info[:2]; v in {pythons!r} or sys.exit("
    '"this base has Python %d.%d, {source} asks for {text}: name another with --base" % v)'
)

_HEAD = """\
{mark} {version} from {source}: change that, and build again.
FROM {base}
USER 0:0
"""


def dockerfile(recipe: Recipe, code: str, packages: tuple[str, ...]) -> str:
    """The text. `code`: the code folder's name in the context and the image; `packages`: the context's files for pip."""
    lines = [
        _HEAD.format(mark=MARK, version=__version__, source=recipe.source, base=recipe.base).rstrip("\n")
    ]
    lines.append(
        "RUN " + " \\\n && ".join([_SERVER_CHECK, *([_python_check(recipe)] if recipe.pythons else [])])
    )
    if packages:
        lines.append(f"COPY {' '.join(name for name in packages if name != WHEELS)} {_PIP}/")
        if WHEELS in packages:
            lines.append(f"COPY {WHEELS}/ {_PIP}/{WHEELS}/")
        constraints = f" -c {_PIP}/constraints.txt" if "constraints.txt" in packages else ""
        lines.append(
            f'RUN cd {_PIP} && "${{AZMLINFSRV_PYTHON:-python}}" -m pip install --no-cache-dir -r requirements.txt'
            f"{constraints} && rm -rf {_PIP}"
        )
    if recipe.model:
        lines.append(f"COPY {MODELS}/ {APP}/{MODELS}/")
    lines.append(f"COPY {code}/ {APP}/{code}/")
    lines.append(_environment(recipe, code))
    if recipe.labels:
        lines.append("LABEL " + _pairs(dict(recipe.labels)))
    lines.append("USER 1000:1000")
    return "\n".join(lines) + "\n"


def _environment(recipe: Recipe, code: str) -> str:
    script_folder, _, script = recipe.script.rpartition("/")
    variables = {
        "AML_APP_ROOT": f"{APP}/{code}" + (f"/{script_folder}" if script_folder else ""),
        "AZUREML_ENTRY_SCRIPT": script,
    }
    if recipe.model_folder:
        variables["AZUREML_MODEL_DIR"] = f"{APP}/{recipe.model_folder}"
    return "ENV " + _pairs({**variables, **dict(recipe.variables)})


def _pairs(values: Mapping[str, str]) -> str:
    return " \\\n    ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(text: str) -> str:
    """A value as the engines read it: no variable in it is replaced."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _python_check(recipe: Recipe) -> str:
    """Words for the shell that fail, with a sentence, when the base has another Python."""
    wanted = recipe.definition.python if recipe.definition else ""
    code = _PYTHON_CHECK.format(pythons=list(recipe.pythons), source=recipe.source, text=wanted)
    return f'"${{AZMLINFSRV_PYTHON:-python}}" -c {shlex.quote(code)}'
