"""The text of score.py for a model."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

from inference_server.scaffold.inputs import Inputs
from inference_server.scaffold.literal import literal, shown
from inference_server.scaffold.model import Model

_WIDTH = 100
_PLACE = re.compile(r"\{(data|\d+)\}")
_STANDARD_LIBRARY = frozenset({"json", "os", "pickle"})

_PLAIN = '''"""Answers with what it was sent. Written by `azmlinfsrv init`; it is yours to change."""

import json


def init():
    """Called once, when a worker starts: load the model here, from the folder in AZUREML_MODEL_DIR."""


def run(raw_data):
    """Called for each request, with its body as text."""
    data = json.loads(raw_data)["data"]
    return {"data": data}
'''

_FILE = '''

def model_path():
    """The model: in the folder that the server names, else {where}."""
    folder = os.getenv("AZUREML_MODEL_DIR") or {folder}
    return os.path.join(folder, {name})
'''
_FOLDER = '''

def model_path():
    """The model's folder: the one that the server names or one in it, else {where}."""
    folder = os.getenv("AZUREML_MODEL_DIR") or {folder}
    inside = os.path.join(folder, {name})
    return inside if os.path.isdir(inside) else folder
'''


def plain_script() -> str:
    """A script to begin with, without any model."""
    return _PLAIN


def script(model: Model, inputs: Inputs, folder: Path) -> str:
    """score.py in `folder`, for a model that lies anywhere."""
    code = model.code
    parts = [
        f'"""Answers with {shown(model.path.name)}: {shown(model.about)}.\n\nWritten by `azmlinfsrv init`; it is yours to change.\n"""\n',
        _imports(model, inputs),
        "HERE = os.path.dirname(os.path.abspath(__file__))\n",
    ]
    if inputs.constants:
        comment = "# What callers send: requests are checked against it, and the API description shows it."
        parts.append("\n".join([comment, *inputs.constants]) + "\n")
    text = "\n".join(parts) + _finder(model, folder)
    if code.helpers:
        text += f"\n\n{code.helpers.strip()}\n"
    text += _function(
        "init", "", "Called once, when a worker starts.", [_globals(model), "path = model_path()", *code.load]
    )
    predict = [_filled(line, inputs) for line in code.predict]
    decorators = [*inputs.decorators]
    if decorators and code.answer is not None:
        decorators.append(f"@output_schema(StandardPythonParameterType({literal([code.answer], _WIDTH)}))")
    return text + _function("run", inputs.parameters, inputs.doc, [*inputs.body, *predict], decorators)


def _imports(model: Model, inputs: Inputs) -> str:
    found = {"import os", *model.code.imports, *inputs.imports}
    if inputs.decorators:
        names = "input_schema"
        if model.code.answer is not None:
            names += ", output_schema"
            found.add(inputs.standard)
        found.add(f"from inference_schema.schema_decorators import {names}")
    own = {line for line in found if line.split()[1].partition(".")[0] in _STANDARD_LIBRARY}
    groups = [sorted(own), sorted(found - own, key=lambda line: (line.startswith("from"), line))]
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def _finder(model: Model, folder: Path) -> str:
    """model_path(): the model's folder relative to the script where the two share a drive."""
    parent = model.path.resolve().parent
    try:
        relative = os.path.relpath(parent, folder.resolve()).replace(os.sep, "/")
        code = "HERE" if relative == "." else f"os.path.join(HERE, {literal(relative, _WIDTH)})"
        where = "beside this script" if relative == "." else f"in `{relative}`"
    except ValueError:
        code, where = literal(str(parent), _WIDTH), f"in `{parent}`"
    template = _FOLDER if model.path.is_dir() else _FILE
    return template.format(where=shown(where), folder=code, name=literal(model.path.name, _WIDTH))


def _globals(model: Model) -> str:
    return f"global {', '.join(model.code.loaded)}"


def _filled(line: str, inputs: Inputs) -> str:
    """A line of predict() with the names that run() has for what it is given; a table goes by the first of them."""
    words = inputs.words
    return _PLACE.sub(lambda found: words[int(found[1])] if found[1] != "data" else words[0], line)


def _function(
    name: str, parameters: str, doc: str, body: list[str], decorators: list[str] | None = None
) -> str:
    lines = ["", "", *(decorators or []), f"def {name}({parameters}):"]
    inside = [f'"""{doc}"""', *body]
    return "\n".join(lines) + "\n" + textwrap.indent("\n".join(inside), "    ") + "\n"
