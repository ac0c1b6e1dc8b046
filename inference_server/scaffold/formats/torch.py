"""Files of torch: TorchScript, which holds its network, and saved weights, which do not."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from inference_server.scaffold import pickled
from inference_server.scaffold.formats import weights
from inference_server.scaffold.formats.pickles import RUNS_CODE
from inference_server.scaffold.model import Code, Model, NotAModel, Tensor, Tensors, Unknown
from inference_server.scaffold.pickled import Inert

_SUFFIXES = frozenset({".pt", ".pth", ".jit", ".ts", ".torchscript"})
_FORWARD = re.compile(r"def forward\(\w+: [^,)]+((?:,\s*\w+: [^,)=]+)*)\)")
_ARGUMENT = re.compile(r",\s*(\w+): ([^,)]+)")
_MOST_SOURCE = 10 * 1024**2
_EMBEDDING = re.compile(r"emb", re.IGNORECASE)

_HELPERS = '''
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def plain(value):
    """Tensors as lists, wherever they stand in an answer."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
'''


def look(path: Path) -> Model | None:
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return None
    if not zipfile.is_zipfile(path):
        raise NotAModel(
            f"{path} is not in the format that torch.save and torch.jit.save write since torch 1.6"
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        data = next((name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")), None)
        if data is None:
            raise NotAModel(f"{path} is a zip file, but not one that torch wrote: it has no data.pkl")
        root = data.partition("/")[0]
        try:
            with archive.open(data) as file:
                made, imported = pickled.read_from(file)
        except pickled.Unreadable as error:
            raise NotAModel(f"{path} cannot be looked into: {error}") from error
        if any(name.startswith(f"{root}/code/") for name in names):
            return _torchscript(path, made, _source(archive, names, root, made))
    return _saved(path, made, imported)


def _torchscript(path: Path, made: Any, source: str) -> Model:
    arguments = _arguments(source)
    sizes = list(_tensors(made))
    takes = _tensors_taken(arguments, sizes)
    calls = "torch.tensor({data}, device=device)"
    if isinstance(takes, Tensors):
        places = range(len(takes.tensors))
        calls = ", ".join(f"torch.from_numpy({{{place}}}).to(device)" for place in places)
    return Model(
        path,
        f"TorchScript, forward({', '.join(name for name, _ in arguments)})",
        takes,
        ("numpy", "torch"),
        Code(
            imports=("import torch",),
            load=("model = torch.jit.load(path, map_location=device)", "model.eval()"),
            predict=("with torch.inference_mode():", f"    return plain(model({calls}))"),
            helpers=_HELPERS,
            notes=()
            if len(arguments) == 1 and sizes
            else (
                "score.py: the file does not say which shapes the network takes; put them into the samples",
            ),
        ),
    )


def _saved(path: Path, made: Any, imported: list[str]) -> Model:
    """What torch.save wrote: weights, or a whole network, which only its own classes can load."""
    tensors = list(_tensors(made))
    if isinstance(made, Inert) and made.name != "collections.OrderedDict":
        return Model(
            path,
            f"a pickled {made.name}",
            _tensors_taken([("data", "Tensor")], tensors),
            ("numpy", "torch"),
            Code(
                imports=("import torch",),
                load=(
                    "# The classes it was saved from must be importable.",
                    'model = torch.load(path, map_location="cpu", weights_only=False)',
                    "model.eval()",
                ),
                predict=(
                    "with torch.inference_mode():",
                    "    return model(torch.from_numpy({data})).tolist()",
                ),
            ),
            tuple(imported),
            RUNS_CODE,
        )
    load = 'torch.load(path, map_location="cpu", weights_only=True)'
    return Model(
        path,
        f"weights of torch, {len(tensors)} tensors without their network",
        Unknown(),
        ("torch",),
        weights.code(load, ("import torch",), tensors),
    )


def _source(archive: zipfile.ZipFile, names: list[str], root: str, made: Any) -> str:
    """The TorchScript of the file that holds the network's own class."""
    kind = made.name if isinstance(made, Inert) else ""
    module = kind.rpartition(".")[0].replace(".", "/")
    name = f"{root}/code/{module}.py"
    if name not in names or archive.getinfo(name).file_size > _MOST_SOURCE:
        return ""
    source = archive.read(name).decode("utf-8", "replace")
    at = source.find(f"class {kind.rpartition('.')[2]}(Module)")
    return source[max(at, 0) :]


def _arguments(source: str) -> list[tuple[str, str]]:
    """(name, type) of what forward() takes beside the module itself."""
    found = _FORWARD.search(source)
    return _ARGUMENT.findall(found[1]) if found else []


def _tensors_taken(arguments: list[tuple[str, str]], sizes: list[tuple[str, tuple[int, ...]]]) -> Any:
    """The tensors forward() takes; the first one's shape is told by the first weight that is applied to it."""
    if not arguments or any(kind.strip() != "Tensor" for _, kind in arguments):
        return Unknown()
    name, size = next(((name, size) for name, size in sizes if len(size) >= 2), ("", ()))
    dtype, shape = "float32", (-1, 1)
    if len(size) == 2 and _EMBEDDING.search(name):
        dtype, shape = "int64", (-1, 8)
    elif len(size) == 2:
        shape = (-1, size[1])
    elif len(size) == 4:
        shape = (-1, size[1], -1, -1)  # type: ignore[assignment]
    elif len(size) == 3:
        shape = (-1, size[1], -1)  # type: ignore[assignment]
    return Tensors(tuple(Tensor(argument, dtype, shape) for argument, _ in arguments))


def _tensors(made: Any, name: str = "", deep: int = 0) -> Any:
    """(name, shape) of every tensor, in the order they were written."""
    if deep > 30:
        return
    if isinstance(made, Inert):
        if made.name.startswith("torch._utils._rebuild_tensor") and len(made.args) > 2:
            yield name, tuple(made.args[2])
            return
        if made.name.startswith("torch._utils._rebuild_parameter"):
            yield from _tensors(made.args[0], name, deep + 1)
            return
        parts = [*made.items, *made.attributes.items()]
    elif isinstance(made, dict):
        parts = list(made.items())
    else:
        return
    for key, value in parts:
        yield from _tensors(value, f"{name}.{key}" if name else str(key), deep + 1)
