"""Kinds of fields that have fields of their own: read into a dataclass by its declarations."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inference_server.definitions.declare import Declared, declarations
from inference_server.definitions.kinds import BAD, JSON, Kind, ListOf, MapOf, refuse
from inference_server.definitions.reading import Reading
from inference_server.definitions.references import PATTERN, AssetReference, reference
from inference_server.definitions.tree import Node, Scalar, Steps, Table, is_null


@dataclass(frozen=True)
class Group(Kind):
    """Fields that are declared together, as one dataclass. `others`: the kind of names beyond those, kept in `others`."""

    group: type[Any]
    others: Kind | None = None

    @property
    def shown_word(self) -> str:
        return "fields, see below"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        """An instance; a field with a problem has its default in it."""
        if not isinstance(node, Table):
            names = ", ".join(
                item.key for item in list(declarations(self.group))[:3] if item.key != "$schema"
            )
            return refuse(node, steps, reading, f"fields such as {names}, each on a line of its own below it")
        found, rest = self._sorted(node, steps, reading)
        values = {}
        there = {item.key for item, _ in found}
        for item, child in found:
            at = (*steps, item.key)
            value = item.kind.read(child, at, reading)
            if value is not BAD:
                values[item.name] = value
                self._fate(item, value, at, reading)
        for item in declarations(self.group):
            if item.required and item.key not in there and (steps or reading.complete):
                reading.problem(steps, f"lacks {item.key}, write {item.key}: … {_below(steps)}".rstrip())
        if self.others is not None:
            self._near(rest, steps, reading)
            values["others"] = MapOf(self.others).read(rest, steps, reading)
        else:
            self._unknown(rest, steps, reading)
        return self.group(**values)

    def _sorted(
        self, node: Table, steps: Steps, reading: Reading
    ) -> tuple[list[tuple[Declared, Node]], Table]:
        """The fields that say something, with what each says; and what no field has the name of."""
        by_name = {item.key: item for item in declarations(self.group)}
        by_alias = {alias: item for item in by_name.values() for alias in item.aliases}
        found, rest = [], Table(node.place)
        for name, child in node.items.items():
            item, at = by_name.get(name) or by_alias.get(name), (*steps, name)
            if item is None:
                rest.items[name] = child
                continue
            if name != item.key and item.key in node.items:
                reading.problem(at, f"stands here beside {item.key}, which is the same: keep that")
                continue
            if is_null(child):
                continue
            if name != item.key:
                reading.note(at, f"is read as {item.key}")
                reading.also(at, (*steps, item.key))
            reading.given.add((*steps, item.key))
            found.append((item, child))
        return found, rest

    def _fate(self, item: Declared, value: Any, at: Steps, reading: Reading) -> None:
        """Say so where a value that is not the usual one does nothing here, or cannot run here."""
        if item.ignored and not _is_default(value, item, self.group):
            reading.note(at, f"does nothing here: {item.ignored}")
        if item.refused:
            reading.refusal(at, item.refused)

    def _near(self, rest: Table, steps: Steps, reading: Reading) -> None:
        known = [item.key for item in declarations(self.group)]
        for name in rest.items:
            near = difflib.get_close_matches(name, known, 1, 0.8)
            if near:
                reading.note(
                    (*steps, name), f"has no meaning here and is kept as it is; {near[0]} would have one"
                )

    def _unknown(self, rest: Table, steps: Steps, reading: Reading) -> None:
        known = [item.key for item in declarations(self.group)]
        for name in rest.items:
            near = difflib.get_close_matches(name, known, 1, 0.7)
            elsewhere = reading.elsewhere.get(name, "")
            if near:
                hint = f"write {near[0]}"
            elif elsewhere:
                hint = f"write it {elsewhere}"
            else:
                hint = f"write one of {', '.join(known)}" if len(known) < 12 else "take it out"
            reading.problem((*steps, name), f"is no field here, {hint}")

    def schema(self) -> JSON:
        return group_schema(self)

    def written(self, value: Any) -> Any:
        return written(value)


@dataclass(frozen=True)
class Asset(Kind):
    """A model or environment: the name of a registered one, or what it is made of."""

    kind: str
    inline: Group

    @property
    def shown_word(self) -> str:
        return "`azureml:NAME:VERSION`, `azureml:NAME@LABEL`, a registry's address, or fields"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        """An AssetReference, or an instance of the group."""
        if not isinstance(node, Scalar):
            return self.inline.read(node, steps, reading)
        text = reading.text(node, steps)
        if text is None:
            return BAD
        try:
            return reference(text, self.kind)
        except ValueError as error:
            reading.problem(steps, str(error))
            return BAD

    def schema(self) -> JSON:
        return {"anyOf": [{"type": "string", "pattern": PATTERN}, self.inline.schema()]}

    def written(self, value: Any) -> Any:
        return value.text if isinstance(value, AssetReference) else self.inline.written(value)


@dataclass(frozen=True)
class GroupOrText(Kind):
    """An object of one field, which may be written as that field's text alone."""

    inline: Group
    field: str

    @property
    def shown_word(self) -> str:
        return f"text, or `{self.field}`"

    def read(self, node: Node, steps: Steps, reading: Reading) -> Any:
        if isinstance(node, Scalar):
            node = Table(node.place, {self.field: node}, {self.field: node.place})
        return self.inline.read(node, steps, reading)

    def schema(self) -> JSON:
        return {"anyOf": [{"type": "string"}, self.inline.schema()]}

    def written(self, value: Any) -> Any:
        return self.inline.written(value)


def group_schema(kind: Group) -> JSON:
    """The JSON schema of a group."""
    properties: JSON = {}
    for item in declarations(kind.group):
        inner = item.kind.schema()
        if not item.required:
            inner = _or_null(inner)
        if not item.required and item.shown_default and isinstance(item.default, (str, int, float)):
            inner["default"] = item.default
        inner["description"] = described_field(item)
        for name in (item.key, *item.aliases):
            properties[name] = inner
    required = [item.key for item in declarations(kind.group) if item.required]
    schema: JSON = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = kind.others.schema() if kind.others else False
    return schema


def described_field(item: Declared) -> str:
    """What a field means and what becomes of it, in one text."""
    unit = f" In {item.unit}." if item.unit else ""
    fate = f" Does nothing here: {item.ignored}." if item.ignored else ""
    fate += f" Not run here: {item.refused}." if item.refused else ""
    return f"{item.help}{unit}{fate}"


def written(value: Any, defaults: bool = False) -> dict[str, Any]:
    """A group as JSON has it, so that reading it again gives the same. `defaults`: also what was never said."""
    made = {}
    for item in declarations(type(value)):
        held = getattr(value, item.name)
        usual = not item.required and _is_default(held, item, type(value))
        if held is None or (usual and (held == "" or not defaults)):
            continue
        if defaults and hasattr(type(held), "__dataclass_fields__") and not isinstance(held, AssetReference):
            made[item.key] = written(held, defaults)
        else:
            made[item.key] = item.kind.written(held)
    if isinstance(others := getattr(value, "others", None), Mapping):
        made.update(others)
    return made


def inner_groups(kind: Kind) -> Iterator[Group]:
    """The groups within a kind."""
    if isinstance(kind, Group):
        yield kind
    elif isinstance(kind, (Asset, GroupOrText)):
        yield kind.inline
    elif isinstance(kind, (MapOf, ListOf)):
        yield from inner_groups(kind.item)


def _is_default(held: Any, item: Declared, group: type[Any]) -> bool:
    field = group.__dataclass_fields__[item.name]
    default = field.default_factory() if callable(field.default_factory) else field.default
    return bool(held == default)


def _below(steps: Steps) -> str:
    return "on a line below it" if steps else ""


def _or_null(schema: JSON) -> JSON:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": types if "null" in types else [*types, "null"]}
