"""What a field may hold. Each kind reads a node, says what it expects, describes itself to editors, and writes its value back."""

from __future__ import annotations

import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from inference_server.definitions.reading import Reading, described, shown, spelled_choices
from inference_server.definitions.tree import List, Node, Scalar, Steps, Table, is_null, value_of

JSON = dict[str, Any]
BAD: Any = object()  # what `read` returns after a problem
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?://|[^\\/])")


class Kind(ABC):
    """Base of all kinds."""

    word: ClassVar[str] = "value"  # what the documents call it

    @property
    def shown_word(self) -> str:
        """The type in the documents' tables."""
        return self.word

    @abstractmethod
    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        """The value of a node that is there; BAD after a problem."""

    @abstractmethod
    def schema(self) -> JSON:
        """The JSON schema."""

    def written(self, value: Any) -> Any:
        """The value as JSON has it, so that reading it again gives the same."""
        return value


def refuse(node: Node, steps: Steps, reading: Reading, expects: str) -> Any:
    """The usual problem of a value that is not what is expected."""
    reading.problem(steps, f"got {described(node)}, write {expects}")
    return BAD


@dataclass(frozen=True)
class Text(Kind):
    """Any text; numbers and words such as `on` are taken as they are written."""

    word: ClassVar[str] = "text"
    free: bool = False  # people's own words: <X> in it is no placeholder
    check: Callable[[str], str] | None = None  # what is wrong with a text, "": nothing
    pattern: str = ""  # for editors

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        if not isinstance(node, Scalar):
            return refuse(node, steps, reading, "one text")
        text = reading.text(node, steps, self.free)
        if text is None:
            return BAD
        wrong = self.check(text) if self.check else ""
        if not wrong and "\0" in text:
            wrong = f"got {shown(text)}, write a text without the character of number 0"
        if wrong:
            reading.problem(steps, wrong)
            return BAD
        return text

    def schema(self) -> JSON:
        types: JSON = {"type": ["string", "number", "boolean"]}
        return {"type": "string", "pattern": self.pattern} if self.pattern else types


@dataclass(frozen=True)
class Choice(Kind):
    """One of some words; case and what stands between their parts do not matter: Key, AMLToken, aml-token."""

    names: tuple[str, ...]

    @property
    def shown_word(self) -> str:
        return ", ".join(f"`{name}`" for name in self.names)

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        expects = spelled_choices(self.names)
        if not isinstance(node, Scalar):
            return refuse(node, steps, reading, expects)
        text = reading.text(node, steps)
        if text is None:
            return BAD
        for name in self.names:
            if _bare(name) == _bare(text):
                return name
        return refuse(node, steps, reading, expects)

    def schema(self) -> JSON:
        patterns = ["[_-]?".join(map(_any_case, name.split("_"))) for name in self.names]
        loose = {"type": "string", "pattern": f"^({'|'.join(patterns)})$"}
        return {"anyOf": [{"enum": list(self.names)}, loose]}


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number; a quoted one, too."""

    least: int = 0
    most: int | None = None

    @property
    def shown_word(self) -> str:
        return f"whole number, {self._range}"

    @property
    def _range(self) -> str:
        return f"from {self.least}" + ("" if self.most is None else f" to {self.most}")

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        expects = f"a whole number {self._range}"
        if not isinstance(node, Scalar):
            return refuse(node, steps, reading, expects)
        text = reading.text(node, steps)
        if text is None:
            return BAD
        if not re.fullmatch(r"[+-]?[0-9]{1,18}(\.0+)?", text.strip()):
            return refuse(node, steps, reading, expects)
        value = int(text.strip().partition(".")[0])
        if value < self.least or (self.most is not None and value > self.most):
            return refuse(node, steps, reading, expects)
        return value

    def schema(self) -> JSON:
        return {
            "type": "integer",
            "minimum": self.least,
            **({} if self.most is None else {"maximum": self.most}),
        }


@dataclass(frozen=True)
class Number(Kind):
    """A number between two."""

    least: float
    most: float

    @property
    def shown_word(self) -> str:
        return f"number, {self.least:g} to {self.most:g}"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        expects = f"a number from {self.least:g} to {self.most:g}"
        if not isinstance(node, Scalar):
            return refuse(node, steps, reading, expects)
        text = reading.text(node, steps)
        if text is None:
            return BAD
        try:
            value = float(text)
        except ValueError:
            return refuse(node, steps, reading, expects)
        if not math.isfinite(value) or not self.least <= value <= self.most:
            return refuse(node, steps, reading, expects)
        return value

    def schema(self) -> JSON:
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Switch(Kind):
    """True or false, as YAML has them or as a text: 'True'."""

    word: ClassVar[str] = "true or false"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        if not isinstance(node, Scalar):
            return refuse(node, steps, reading, "true or false")
        text = reading.text(node, steps)
        if text is None:
            return BAD
        if text.lower() not in (*_YES, *_NO):
            return refuse(node, steps, reading, "true or false")
        return text.lower() in _YES

    def schema(self) -> JSON:
        words = {"type": "string", "pattern": f"^({'|'.join(_any_case(word) for word in (*_YES, *_NO))})$"}
        return {"anyOf": [{"type": "boolean"}, words]}


@dataclass(frozen=True)
class LocalPath(Kind):
    """A file or folder, from the folder that the YAML file lies in; or, where that may be, an address to fetch it from."""

    what: str = "file or folder"  # or file, or folder
    remote: bool = False

    @property
    def shown_word(self) -> str:
        return f"path of a {self.what}" + (", or an address" if self.remote else "")

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        """A Path, absolute; a str for an address."""
        if not isinstance(node, Scalar) or node.text == "":
            return refuse(node, steps, reading, f"the path of a {self.what}")
        text = reading.text(node, steps)
        if text is None:
            return BAD
        if _ADDRESS.match(text):
            if self.remote:
                return text
            return refuse(node, steps, reading, f"the path of a {self.what} on this machine")
        path = Path(os.path.abspath(reading.folder / text))
        try:
            wrong = self._wrong(text, path) if reading.checks_paths else ""
        except (OSError, ValueError) as error:  # a text that no path can be
            reason = error.strerror if isinstance(error, OSError) else error
            wrong = f"got {shown(text)}, write the path of a {self.what} ({reason})"
        if wrong:
            reading.problem(steps, wrong)
            return BAD
        return path

    def _wrong(self, text: str, path: Path) -> str:
        if not path.exists():
            filled = text.endswith("_") and Path(f"{path}"[:-1]).exists()
            hint = (
                f"; {text[:-1]} does: fill in its placeholders first" if filled else f" (looked for {path})"
            )
            return f"{text} does not exist{hint}"
        if self.what == "folder" and not path.is_dir():
            return f"{text} is no folder"
        if self.what == "file" and not path.is_file():
            return f"{text} is no file"
        return ""

    def schema(self) -> JSON:
        return {"type": "string", "minLength": 1}

    def written(self, value: Any) -> Any:
        return str(value)


@dataclass(frozen=True)
class MapOf(Kind):
    """Names of people's own choice, and for each a value of one kind. A name without a value is left out."""

    item: Kind
    name: Callable[[str], str] | None = None  # what is wrong with a name, "": nothing

    @property
    def shown_word(self) -> str:
        return f"names and values ({self.item.shown_word})"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        if not isinstance(node, Table):
            return refuse(node, steps, reading, "names and values, one pair a line")
        found = {}
        for name, item in node.items.items():
            inner = (*steps, name)
            wrong = self.name(name) if self.name else ""
            if wrong:
                reading.problem(inner, wrong)
            if is_null(item):
                continue
            value = self.item.read(item, inner, reading)
            if value is not BAD:
                found[name] = value
        return found

    def schema(self) -> JSON:
        item = self.item.schema()
        return {"type": ["object", "null"], "additionalProperties": {"anyOf": [item, {"type": "null"}]}}

    def written(self, value: Any) -> Any:
        return {name: self.item.written(item) for name, item in value.items()}


@dataclass(frozen=True)
class ListOf(Kind):
    """Items of one kind."""

    item: Kind

    @property
    def shown_word(self) -> str:
        return f"list ({self.item.shown_word})"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        if not isinstance(node, List):
            return refuse(node, steps, reading, "a list, each item on a line after `-`")
        read = [self.item.read(item, (*steps, at), reading) for at, item in enumerate(node.items)]
        return tuple(value for value in read if value is not BAD)

    def schema(self) -> JSON:
        return {"type": "array", "items": self.item.schema()}

    def written(self, value: Any) -> Any:
        return [self.item.written(item) for item in value]


@dataclass(frozen=True)
class FileOrInline(Kind):
    """A path, or what the file would hold, written here."""

    file: LocalPath
    word: ClassVar[str] = "path of a file, or its content"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        if isinstance(node, Scalar):
            return self.file.read(node, steps, reading)
        return value_of(node) if isinstance(node, Table) else refuse(node, steps, reading, self.word)

    def schema(self) -> JSON:
        return {"type": ["string", "object"]}

    def written(self, value: Any) -> Any:
        return value if isinstance(value, Mapping) else str(value)


def is_address(text: str) -> bool:
    """Whether a text names something that does not lie on this machine's disk by its path."""
    return _ADDRESS.match(text) is not None


def _bare(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in word)
