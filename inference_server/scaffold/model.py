"""What is known of a model, whatever its format: the words that scripts, samples and YAML are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_server.errors import InferenceServerError


class NotAModel(InferenceServerError):
    """The file or folder is none of the formats that are known, or it is broken."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    example: Any  # a number, a text or a truth value
    dtype: str = ""  # what the model insists on, as pandas names it; "": as the example has it


@dataclass(frozen=True)
class Table:
    """Rows of columns. Without names, and all of numbers, it is a plain array."""

    columns: tuple[Column, ...]
    named: bool

    @property
    def numeric(self) -> bool:
        return not self.named and all(isinstance(column.example, (int, float)) for column in self.columns)


@dataclass(frozen=True)
class Texts:
    """A list of texts."""


# Types of tensors, as numpy names them; `str` is text.
DTYPES = frozenset(
    f"{kind}{bits}"
    for kind, sizes in (("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)), ("float", (16, 32, 64)))
    for bits in sizes
) | {"bool", "str"}


@dataclass(frozen=True)
class Tensor:
    """One array: its type, one of DTYPES, and its shape, -1 for what a caller decides."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Tensors:
    """Arrays by name."""

    tensors: tuple[Tensor, ...]


@dataclass(frozen=True)
class Unknown:
    """The file does not say what the model takes."""


Takes = Table | Texts | Tensors | Unknown


@dataclass(frozen=True)
class Model:
    """A model that was looked at, not loaded."""

    path: Path  # the file or folder
    about: str  # one line: what it is
    takes: Takes
    requirements: tuple[str, ...]  # what its interpreter must have, as pip spells it
    code: Code  # how a script loads and calls it
    pickled: tuple[str, ...] = ()  # classes and functions that its pickles import and call
    runs_code: str = ""  # why loading it runs code that came with it; "": it is plain data

    @property
    def stem(self) -> str:
        return self.path.stem if self.path.is_file() else self.path.name


@dataclass(frozen=True)
class Code:
    """The parts of a script that differ by format. Lines are without indent.

    In `load`, `path` is the variable that holds the model's path. In `predict`, `{data}` stands for what run() was
    given, and `{0}`, `{1}`, … for each of several tensors. Both may use what `imports` and `helpers` bring.
    """

    imports: tuple[str, ...]
    load: tuple[str, ...]
    predict: tuple[str, ...]
    loaded: tuple[str, ...] = ("model",)  # the globals that `load` sets
    helpers: str = ""  # functions of the script's own
    answer: Any = None  # what predict() gives for one row, where the file tells
    notes: tuple[str, ...] = ()  # what the person must still do
