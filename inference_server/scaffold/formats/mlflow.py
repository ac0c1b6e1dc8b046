"""Folders that MLflow wrote: the signature and the input example are in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from inference_server.scaffold import pickled
from inference_server.scaffold.model import (
    DTYPES,
    Code,
    Column,
    Model,
    Table,
    Takes,
    Tensor,
    Tensors,
    Unknown,
)

# MLflow's types: an example, and the type pandas must give the column.
_TYPES: dict[str, tuple[Any, str]] = {
    "boolean": (True, ""),
    "integer": (1, "int32"),
    "long": (1, ""),
    "float": (0.0, "float32"),
    "double": (0.0, ""),
    "string": ("text", ""),
    "datetime": ("2026-01-31T00:00:00", "datetime64[ns]"),
}
_FLAVOUR = re.compile(r"^  (\w+):\s*$", re.MULTILINE)
# A package by its name; no option of pip's, no address.
_REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?\s*([=<>!~]=?[^@/]*)?")
_VERSION = re.compile(r"^mlflow_version:\s*['\"]?([\d.]+)", re.MULTILINE)

_HELPERS = '''
def plain(answer):
    """Tables as records, arrays as lists."""
    if hasattr(answer, "to_dict"):
        return answer.to_dict(orient="records") if hasattr(answer, "columns") else answer.tolist()
    return answer.tolist() if hasattr(answer, "tolist") else answer
'''


def look(path: Path) -> Model | None:
    file = path / "MLmodel" if path.is_dir() else path
    if file.name != "MLmodel" or not file.is_file():
        return None
    folder = file.parent
    text = file.read_text(encoding="utf-8", errors="replace")
    flavours = [name for name in _FLAVOUR.findall(text) if name != "python_function"]
    version = _VERSION.search(text)
    return Model(
        folder,
        f"MLflow model ({', '.join(flavours) or 'python_function'})",
        _takes(folder, text),
        _requirements(folder, version[1] if version else ""),
        Code(
            imports=("import mlflow.pyfunc",),
            load=("model = mlflow.pyfunc.load_model(path)",),
            predict=("return plain(model.predict({data}))",),
            helpers=_HELPERS,
        ),
        _pickled(folder),
        "an MLflow model: loading it runs its flavour's code, its own and what its pickles name",
    )


def _takes(folder: Path, text: str) -> Takes:
    """From the signature, with values of the input example where there is one."""
    fields = signature(text)
    if fields and all(field.get("type") == "tensor" for field in fields):
        tensors = tuple(_tensor(field) for field in fields)
        return Tensors(tensors) if all(tensor.dtype in DTYPES for tensor in tensors) else Unknown()
    row = _example_row(folder)
    columns = []
    for field in fields:
        if not isinstance(field.get("type"), str) or field["type"] not in _TYPES:
            return Unknown()
        example, dtype = _TYPES[field["type"]]
        name = field.get("name")
        if name is None:
            return Unknown()
        columns.append(Column(str(name), row.get(str(name), example), dtype))
    if columns:
        return Table(tuple(columns), named=True)
    return Table(tuple(Column(name, value) for name, value in row.items()), named=True) if row else Unknown()


def signature(text: str) -> list[dict[str, Any]]:
    """The inputs of an MLmodel file: JSON inside a quoted scalar of YAML, which may be folded over lines."""
    found = re.search(r"^  inputs:\s*'((?:[^']|'')*)'", text, re.MULTILINE)
    if found is None:
        return []
    folded = re.sub(r"\s*\n\s+", " ", found[1]).replace("''", "'")
    try:
        fields = json.loads(folded)
    except ValueError:
        return []
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []


def _tensor(field: dict[str, Any]) -> Tensor:
    facts = field.get("tensor-spec", {})
    shape = tuple(int(size) for size in facts.get("shape", [-1]))
    dtype = str(facts.get("dtype", "float64"))
    return Tensor(str(field.get("name") or "data"), "str" if dtype == "object" else dtype, shape)


def _example_row(folder: Path) -> dict[str, Any]:
    """The first row of the input example, by column."""
    try:
        example = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if isinstance(example, dict) and isinstance(example.get("columns"), list) and example.get("data"):
        return dict(zip(map(str, example["columns"]), example["data"][0], strict=False))
    if isinstance(example, list) and example and isinstance(example[0], dict):
        return example[0]
    return {}


def _requirements(folder: Path, version: str) -> tuple[str, ...]:
    """What the model was logged with."""
    try:
        lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = [line.strip() for line in lines if _REQUIREMENT.fullmatch(line.strip())]
    if not any(re.match(r"mlflow\b", line) for line in found):
        found.insert(0, f"mlflow=={version}" if version else "mlflow")
    return tuple(found)


def _pickled(folder: Path) -> tuple[str, ...]:
    """What its pickles import and call."""
    names: list[str] = []
    for file in sorted(folder.rglob("*.pkl")):
        try:
            names += [name for name in pickled.read(file)[1] if name not in names]
        except pickled.Unreadable as error:
            names.append(f"({file.name} cannot be looked into: {error})")
    return tuple(names)
