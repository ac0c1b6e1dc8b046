"""Arrays inside a pickle that is only looked at: their type and shape, and the values of small ones."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

MOST_VALUES = 10_000  # an array with more is not read
_CODES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
_CODES.update({"f2": "e", "f4": "f", "f8": "d"})
_MULTIARRAY = ("numpy._core.multiarray.", "numpy.core.multiarray.")
_BYTEARRAYS = ("builtins.bytearray", "__builtin__.bytearray")
_NUMERIC = ("numpy._core.numeric.", "numpy.core.numeric.")


class Dtype(NamedTuple):
    """A numpy type: `kind` is f, i, u, b, U, S or O as in numpy, `size` the bytes of one value."""

    kind: str
    size: int
    order: str  # < or >


@dataclass(frozen=True)
class Array:
    """An array; `values` row by row, None where it is large or of a type that is not read."""

    dtype: Dtype
    shape: tuple[int, ...]
    values: list[Any] | None


def dtype_of(made: Any) -> Dtype:
    """The type that a pickled `numpy.dtype` stands for."""
    text = made.args[0]
    if not isinstance(text, str):  # a structured type
        return Dtype("V", 0, "<")
    state = made.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">") else "<"
    text = text.lstrip("<>=|")
    digits = text[1:]
    size = int(digits) if digits.isdigit() else 0
    return Dtype(text[0], size * 4 if text[0] == "U" else size, order)


def plain(made: Any) -> Any:
    """The array, number, text or bytes that a stand-in stands for; anything else as it is."""
    name = getattr(made, "name", "")
    try:
        if name in _BYTEARRAYS and isinstance(made.args[0], bytes):
            return made.args[0]
        if name.endswith("._reconstruct") and len(made.state) == 5:
            _, shape, dtype, fortran, data = made.state
            return _array(data, dtype_of(dtype), tuple(shape), bool(fortran))
        if name.startswith(_NUMERIC) and name.endswith("_frombuffer"):
            data, dtype, shape, order = made.args
            return _array(data, dtype_of(dtype), tuple(shape), order == "F")
        if name.startswith(_MULTIARRAY) and name.endswith(".scalar"):
            dtype, data = made.args
            values = decode(_bytes(data), dtype_of(dtype), (1,))
            return values[0] if values else made
    except (TypeError, ValueError, AttributeError, IndexError):  # it only bears the name
        pass
    return made


def _array(data: Any, dtype: Dtype, shape: tuple[int, ...], fortran: bool) -> Array:
    if isinstance(data, list):
        values: list[Any] | None = data
    else:
        values = decode(_bytes(data), dtype, shape)
    return Array(dtype, shape, None if fortran and len(shape) > 1 else values)


def _bytes(data: Any) -> bytes:
    """The bytes of an array; pickles of protocol 2 hold them as text to be encoded."""
    if getattr(data, "name", "") == "_codecs.encode":
        return str(data.args[0]).encode("latin-1")
    return bytes(data)


def read_array(handle: IO[bytes], dtype: Dtype, facts: dict[str, Any]) -> Array:
    """An array of joblib's, whose bytes come next in the file. `facts` are those of its wrapper."""
    shape = tuple(facts["shape"])
    if facts.get("numpy_array_alignment_bytes") is not None:
        handle.read(handle.read(1)[0])
    size = math.prod(shape) * dtype.size
    if math.prod(shape) > MOST_VALUES:
        _skip(handle, size)
        return Array(dtype, shape, None)
    return _array(handle.read(size), dtype, shape, facts.get("order") == "F")


def decode(data: bytes, dtype: Dtype, shape: Any) -> list[Any] | None:
    """The values of a small array, None for others."""
    count = math.prod(shape)
    if count > MOST_VALUES or len(data) != count * dtype.size:
        return None
    if dtype.kind == "U":
        codec = "utf-32-le" if dtype.order == "<" else "utf-32-be"
        parts = (data[at : at + dtype.size] for at in range(0, len(data), dtype.size or 1))
        return [part.decode(codec, "replace").rstrip("\0") for part in parts]
    code = _CODES.get(f"{dtype.kind}{dtype.size}")
    return None if code is None else list(struct.unpack(f"{dtype.order}{count}{code}", data))


def _skip(handle: IO[bytes], size: int) -> None:
    if handle.seekable():
        handle.seek(size, 1)
        return
    while size > 0:
        part = handle.read(min(size, 1 << 20))
        if not part:
            return
        size -= len(part)
