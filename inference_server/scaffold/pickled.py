"""A pickle, read without running any of it.

A pickle is a small program: it names classes and functions of installed packages, and calls them. Here the same
program runs with every name replaced by a dead stand-in, so that nothing is imported and nothing is called; what is
left is the shape of the object it would have made: class names, attributes, arrays.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar

from inference_server.scaffold.arrays import dtype_of, plain, read_array

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
MOST_BYTES = 4 * 1024**3  # of a compressed file once it is unpacked


class Unreadable(Exception):
    """Not a pickle, or one that cannot be followed."""


class Name:
    """A class or function that the pickle asks for. Calling it makes a stand-in for what it would give."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return Inert(self.name, args)


class Inert:
    """A stand-in for an object: the name of its class (or of the function that makes it), arguments, state, items."""

    __slots__ = ("args", "items", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        self.items: list[tuple[Any, Any]] = []  # of a mapping; of a list, the keys are None

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return Inert(f"{self.name}()", args)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append((None, value))

    def extend(self, values: Any) -> None:
        self.items.extend((None, value) for value in values)

    add = append

    @property
    def attributes(self) -> dict[str, Any]:
        """Its attributes, as far as its state is a plain one."""
        state = self.state[0] if isinstance(self.state, tuple) and self.state else self.state
        return {name: plain(value) for name, value in state.items()} if isinstance(state, dict) else {}


# The unpickler that is written in Python: every step of it can be replaced.
_Unpickler: Any = pickle._Unpickler


class Reader(_Unpickler):  # type: ignore[misc]
    """Follows a pickle with stand-ins. `names` are the classes and functions it asks for, in their order."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def __init__(self, handle: IO[bytes]) -> None:
        super().__init__(handle)
        self.handle = handle
        self.names: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in self.names:
            self.names.append(full)
        return Name(full)

    def persistent_load(self, pid: Any) -> Any:
        return Inert("persistent", pid if isinstance(pid, tuple) else (pid,))

    def get_extension(self, code: int) -> None:
        raise Unreadable("it uses the registry of extensions")

    def load_build(self) -> None:
        """As it is; then an array of joblib's, whose bytes follow here in the file."""
        super().load_build()
        made = self.stack[-1]
        if isinstance(made, Inert) and made.name == WRAPPER:
            self.stack[-1] = self._array(made.attributes)

    def load_newobj(self) -> None:
        args = self.stack.pop()
        self.stack.append(_made(self.stack.pop(), args))

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex

    def _array(self, facts: dict[str, Any]) -> Any:
        dtype = dtype_of(facts["dtype"])
        if dtype.kind == "O":  # objects: a pickle of its own
            inner = Reader(self.handle)
            made = inner.load()
            self.names += [name for name in inner.names if name not in self.names]
            return plain(made)
        return read_array(self.handle, dtype, facts)


def read(path: Path) -> tuple[Any, list[str]]:
    """(the object's shape, the names its pickle asks for). Raises Unreadable; runs nothing of the file."""
    with path.open("rb") as file:
        return read_from(_unpacked(file))


def read_from(handle: IO[bytes]) -> tuple[Any, list[str]]:
    """The same, of an open file."""
    reader = Reader(handle)
    try:
        made = reader.load()
    except Unreadable:
        raise
    except Exception as error:  # a broken pickle fails in any way it likes
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return made, reader.names


def _made(kind: Any, args: Any) -> Inert:
    if not isinstance(kind, (Name, Inert)) or not isinstance(args, tuple):
        raise Unreadable("it makes an object of something that is no class")
    return kind(*args)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """The file, unpacked if joblib has compressed it."""
    start = file.read(6)
    file.seek(0)
    openers: dict[bytes, Callable[[IO[bytes]], Any]] = {
        b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
        b"BZh": bz2.BZ2File,
        b"\xfd7zXZ\x00": lzma.LZMAFile,
        b"\x5d\x00\x00": lzma.LZMAFile,
    }
    for magic, opener in openers.items():
        if start.startswith(magic):
            return opener(file)  # type: ignore[no-any-return]
    if start.startswith(b"\x04\x22\x4d\x18"):
        raise Unreadable("it is compressed with lz4, which cannot be looked into here")
    if start[:1] == b"\x78":
        return io.BytesIO(zlib.decompressobj().decompress(file.read(), MOST_BYTES))
    return file
