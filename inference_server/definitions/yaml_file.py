"""A YAML file as a tree. What YAML allows and a definition does not is a problem with its line, never a traceback."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from inference_server.definitions.errors import DefinitionError, Remark
from inference_server.definitions.tree import List, Node, Place, Scalar, Steps, Table, has_half, spelled
from inference_server.errors import InferenceServerError

NO_YAML = "reading YAML files needs PyYAML: pip install 'azmlinfsrv[env]'"
PLACEHOLDER = re.compile(r"(?<!\$)\{\{\s*[\w.-]+\s*\}\}")
_MOST_BYTES = 1 << 20
_MOST_DEPTH, _MOST_NODES = 60, 50_000  # aliases of aliases grow to any size
_STANDARD = "tag:yaml.org,2002:"
_MERGE = f"{_STANDARD}merge"


def parsed(path: Path) -> tuple[Node | None, list[Remark]]:
    """The tree of a file, None for an empty one, and what is wrong with it as far as YAML goes.

    Raises DefinitionError where there is no tree at all; InferenceServerError without PyYAML.
    """
    text = _text(path)
    root = _composed(text, str(path))
    if root is None:
        return None, []
    made = _Tree(str(path))
    node = made.node(root, (), 0)
    return node, made.problems


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _whole(path, f"cannot be read: {reason}{_filled_elsewhere(path)}") from None
    if len(content) > _MOST_BYTES:
        raise _whole(path, "is larger than 1 MiB, which no definition is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DefinitionError([Remark(f"{path}:{line}", "", "is not UTF-8 text", line)]) from None


def _filled_elsewhere(path: Path) -> str:
    """For `deployment.yml_`, the copy that the scripts of Azure's examples make of a file with placeholders."""
    template = path.with_name(path.name[:-1]) if path.name.endswith("_") and len(path.name) > 1 else None
    if template is None or not template.is_file():
        return ""
    return f"; {template.name} is there: fill in its placeholders and give that file"


def _whole(path: Path, message: str) -> DefinitionError:
    return DefinitionError([Remark(str(path), "", message)])


def _composed(text: str, source: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise InferenceServerError(NO_YAML) from None

    def wrong(line: int, message: str) -> DefinitionError:
        where = f"{source}:{line}" if line else source
        return DefinitionError([Remark(where, "", message, line)])

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        near = text.splitlines()[line - 1 : line] or [""]
        placeholder = PLACEHOLDER.search(near[0])
        if placeholder:
            raise wrong(line, f"{placeholder[0]} is a placeholder: write what it stands for") from None
        if "single document" in str(error.context):
            raise wrong(line, "a second document begins here: write one file for each") from None
        raise wrong(line, f"is no YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise wrong(line, f"is no text: it holds the character {error.character:#x}") from None
    except yaml.YAMLError as error:
        raise wrong(0, f"is no YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise wrong(0, f"nests deeper than {_MOST_DEPTH} values") from None
    except (ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF" names no character
        raise wrong(0, f"is no YAML: {error}") from None


class _Tree:
    """Makes the tree, and keeps what is wrong on the way."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._nodes = 0
        self.problems: list[Remark] = []

    def node(self, node: Any, steps: Steps, depth: int) -> Node:
        place = self._place(node)
        self._nodes += 1
        if depth > _MOST_DEPTH or self._nodes > _MOST_NODES:
            what = f"nests deeper than {_MOST_DEPTH}" if depth > _MOST_DEPTH else f"has over {_MOST_NODES}"
            raise DefinitionError([Remark(str(place), spelled(steps), f"{what} values", place.line)])
        if not str(node.tag).startswith(_STANDARD):
            self._wrong(node, steps, f"{node.tag} means nothing here: write the value itself")
        if node.id == "scalar":
            return self._scalar(node, steps, place)
        if node.id == "sequence":
            items = [self.node(item, (*steps, at), depth + 1) for at, item in enumerate(node.value)]
            return List(place, items)
        placeholder = _placeholder(node)
        if placeholder:
            return Scalar(place, placeholder)
        return self._table(node, steps, depth)

    def _scalar(self, node: Any, steps: Steps, place: Place) -> Scalar:
        text = str(node.value)
        if has_half(text):
            self._wrong(node, steps, "holds half of a character (\\ud800 to \\udfff): write the whole one")
            text = text.encode("utf-8", "replace").decode()
        return Scalar(place, text, quoted=node.style is not None)

    def _table(self, node: Any, steps: Steps, depth: int) -> Table:
        table = Table(self._place(node))
        merged: list[Table] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merged += self._merged(value, steps, depth)
            elif key.id != "scalar":
                self._wrong(key, steps, "expects a name before the colon")
            elif key.value in table.items:
                self._wrong(key, (*steps, key.value), "stands here twice: keep one")
            else:
                name = key.value.encode("utf-8", "replace").decode()
                table.names[name] = self._place(key)
                table.items[name] = self.node(value, (*steps, name), depth + 1)
        for other in merged:  # what a table says itself wins over what it is merged with
            for name, item in other.items.items():
                if name not in table.items:
                    table.items[name], table.names[name] = item, other.names[name]
        return table

    def _merged(self, node: Any, steps: Steps, depth: int) -> list[Table]:
        found = []
        for item in node.value if node.id == "sequence" else [node]:
            made = self.node(item, steps, depth + 1)
            if isinstance(made, Table):
                found.append(made)
            else:
                self._wrong(item, steps, "<< expects an anchor of names and values")
        return found

    def _place(self, node: Any) -> Place:
        return Place(self._source, int(node.start_mark.line) + 1)

    def _wrong(self, node: Any, steps: Steps, message: str) -> None:
        place = self._place(node)
        self.problems.append(Remark(str(place), spelled(steps), message, place.line))


def _placeholder(node: Any) -> str:
    """`{{NAME}}` is a table within a table to YAML; the text that was meant, or ""."""
    if not (node.flow_style and len(node.value) == 1):
        return ""
    inner, outside = node.value[0]
    if inner.id != "mapping" or not inner.flow_style or len(inner.value) != 1 or outside.value:
        return ""
    name, inside = inner.value[0]
    return f"{{{{{name.value}}}}}" if name.id == "scalar" and not inside.value else ""
