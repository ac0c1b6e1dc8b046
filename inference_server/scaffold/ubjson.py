"""UBJSON, as far as models are written in it. Arrays of numbers of one type are passed over: they are weights."""

from __future__ import annotations

import struct
from typing import IO, Any

_NUMBERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_SIZES = {mark: struct.calcsize(code) for mark, code in _NUMBERS.items()}
_PLAIN = {b"Z": None, b"T": True, b"F": False}
_DEEP = 100
_MOST_TEXT = 1 << 24


def read(file: IO[bytes]) -> Any:
    """The document. Raises ValueError for what is none."""
    return _value(file, file.read(1), 0)


def _value(file: IO[bytes], mark: bytes, deep: int) -> Any:
    if deep > _DEEP:
        raise ValueError("it is nested too deeply")
    if mark in _NUMBERS:
        return _number(file, mark)
    if mark in _PLAIN:
        return _PLAIN[mark]
    if mark == b"S":
        return _text(file, file.read(1))
    if mark == b"C":
        return file.read(1).decode("latin-1")
    if mark == b"[":
        return _array(file, deep)
    if mark == b"{":
        return _object(file, deep)
    raise ValueError(f"a value begins with {mark!r}" if mark else "it ends too early")


def _number(file: IO[bytes], mark: bytes) -> Any:
    if mark not in _NUMBERS:
        raise ValueError(f"a length begins with {mark!r}" if mark else "it ends too early")
    data = file.read(_SIZES[mark])
    if len(data) < _SIZES[mark]:
        raise ValueError("it ends too early")
    return struct.unpack(_NUMBERS[mark], data)[0]


def _text(file: IO[bytes], mark: bytes) -> str:
    size = int(_number(file, mark))
    data = file.read(size) if 0 <= size <= _MOST_TEXT else b""
    if len(data) != size:
        raise ValueError("it ends too early")
    return data.decode("utf-8", "replace")


def _array(file: IO[bytes], deep: int) -> list[Any]:
    mark = file.read(1)
    kind = None
    if mark == b"$":
        kind, mark = file.read(1), file.read(1)
    if mark == b"#":
        count = int(_number(file, file.read(1)))
        if kind in _SIZES:
            file.seek(count * _SIZES[kind or b""], 1)
            return []
        return [_value(file, kind or file.read(1), deep + 1) for _ in range(count)]
    found = []
    while mark != b"]":
        found.append(_value(file, mark, deep + 1))
        mark = file.read(1)
    return found


def _object(file: IO[bytes], deep: int) -> dict[str, Any]:
    found = {}
    mark = file.read(1)
    while mark != b"}":
        key = _text(file, mark)
        found[key] = _value(file, file.read(1), deep + 1)
        mark = file.read(1)
    return found
