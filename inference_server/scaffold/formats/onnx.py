"""ONNX files: inputs and outputs are read from the graph, weights are passed over."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from inference_server.scaffold.model import Code, Model, NotAModel, Tensor, Tensors

# Field numbers of ONNX's protobuf messages.
_GRAPH, _INITIALIZER, _INPUT, _OUTPUT = 7, 5, 11, 12
_NAME, _TYPE, _TENSOR_TYPE, _ELEMENT, _SHAPE, _DIM, _DIM_VALUE = 1, 2, 1, 1, 2, 1, 1
_INITIALIZER_NAME = 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "str",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
_MOST_BYTES = 1 << 20  # of one message that is read into memory: names and shapes are small

_HELPERS = '''
def providers():
    """CUDA where this machine has it, else the CPU."""
    offered = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in offered]
'''


def look(path: Path) -> Model | None:
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return None
    try:
        inputs, outputs = _signature(path)
    except (ValueError, IndexError, EOFError) as error:
        raise NotAModel(f"{path} is not a whole ONNX file: {error}") from error
    if not inputs:
        raise NotAModel(f"{path} is not an ONNX model: its graph has no input")
    names = ", ".join(tensor.name for tensor in outputs)
    feeds = ", ".join(f"{_key(tensor.name)}: {{{place}}}" for place, tensor in enumerate(inputs))
    return Model(
        path,
        f"ONNX, {', '.join(tensor.name for tensor in inputs)} to {names}",
        Tensors(tuple(inputs)),
        ("numpy", "onnxruntime"),
        Code(
            imports=("import onnxruntime",),
            load=("session = onnxruntime.InferenceSession(path, providers=providers())",),
            loaded=("session",),
            predict=(
                f"answers = session.run(None, {{{feeds}}})",
                "names = [output.name for output in session.get_outputs()]",
                "return {name: answer.tolist() for name, answer in zip(names, answers)}",
            ),
            helpers=_HELPERS,
        ),
    )


def _key(name: str) -> str:
    """A tensor's name as a literal that holds no brace: those stand for run()'s arguments."""
    return json.dumps(name).replace("{", "\\u007b")


def _signature(path: Path) -> tuple[list[Tensor], list[Tensor]]:
    """(inputs, outputs) of the model's graph; what older files list among the inputs but fill in themselves is none."""
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    filled: set[str] = set()
    with path.open("rb") as file:
        end = path.stat().st_size
        for field, size in _fields(file, end):
            if field != _GRAPH:
                continue
            for part, length in _fields(file, file.tell() + size):
                if part in (_INPUT, _OUTPUT):
                    (inputs if part == _INPUT else outputs).append(_tensor(file.read(length)))
                elif part == _INITIALIZER:
                    filled.add(_name_of_initializer(file, file.tell() + length))
    named = {tensor.name: tensor for tensor in inputs if tensor.name not in filled}
    return list(named.values()), outputs


def _fields(file: IO[bytes], end: int) -> Iterator[tuple[int, int]]:
    """(number, length) of each length-delimited field of a message that ends at `end`.

    The file stands at the field's bytes; whatever the caller does not read of them is passed over.
    """
    while file.tell() < end:
        key = _varint(file)
        kind = key & 7
        if kind == _BYTES:
            size = _varint(file)
            after = file.tell() + size
            if after > end:
                raise ValueError("a field is longer than the file")
            yield key >> 3, size
            file.seek(after)
        elif kind == _VARINT:
            _varint(file)
        elif kind in (_FIXED64, _FIXED32):
            file.seek(8 if kind == _FIXED64 else 4, 1)
        else:
            raise ValueError(f"it has a field of unknown kind {kind}")


def _varint(file: IO[bytes]) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte or shift > 63:
            raise EOFError("it ends in the middle of a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7


def _name_of_initializer(file: IO[bytes], end: int) -> str:
    name = ""
    for field, size in _fields(file, end):
        if field == _INITIALIZER_NAME:
            name = file.read(size).decode("utf-8", "replace")
    return name


def _tensor(data: bytes) -> Tensor:
    """A ValueInfo message: its name, the type and the dimensions of its tensor."""
    if len(data) > _MOST_BYTES:
        raise ValueError("the description of an input is larger than any could be")
    message = _message(data)
    name = _first(message, _NAME).decode("utf-8", "replace")
    tensor = _message(_first(_message(_first(message, _TYPE)), _TENSOR_TYPE))
    element = tensor.get(_ELEMENT, [0])[0]
    dims = _message(_first(tensor, _SHAPE)).get(_DIM, [])
    shape = tuple(_dim(dim) for dim in dims if isinstance(dim, bytes))
    return Tensor(name, _TYPES.get(element if isinstance(element, int) else 0, "float32"), shape)


def _dim(data: bytes) -> int:
    value = _message(data).get(_DIM_VALUE, [-1])[0]
    return value if isinstance(value, int) and value > 0 else -1


def _first(message: dict[int, list[bytes | int]], field: int) -> bytes:
    value = message.get(field, [b""])[0]
    return value if isinstance(value, bytes) else b""


def _message(data: bytes) -> dict[int, list[bytes | int]]:
    """A small message as field number -> values: numbers, or bytes."""
    file = io.BytesIO(data)
    found: dict[int, list[bytes | int]] = {}
    while file.tell() < len(data):
        key = _varint(file)
        kind = key & 7
        if kind == _VARINT:
            found.setdefault(key >> 3, []).append(_varint(file))
        elif kind == _BYTES:
            found.setdefault(key >> 3, []).append(file.read(_varint(file)))
        elif kind in (_FIXED64, _FIXED32):
            file.read(8 if kind == _FIXED64 else 4)
        else:
            raise ValueError(f"it has a field of unknown kind {kind}")
    return found
