"""How a field is declared: once, as a dataclass field that knows its type, its unit, what it means and what we do with it.

    polling_interval: int = declared(1, Whole(1), "How often to look.", unit="seconds")

Reading, the JSON schemas for editors and docs/endpoint-yaml.md are all made from these declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from inference_server.definitions.kinds import Kind


@dataclass(frozen=True)
class Declared:
    """One field: everything but its value."""

    name: str  # of the dataclass's field
    key: str  # how it is written in a file
    kind: Kind
    default: Any
    help: str
    unit: str
    required: bool
    default_text: str  # how the documents show the default; "": the value itself
    aliases: tuple[str, ...]  # other ways to write it; each is read with a note
    ignored: str  # why it does nothing here; a file that has it gets this as a note
    refused: str  # why what runs deployments on this machine cannot take it
    used: str  # how it is used, where its meaning does not say so

    @property
    def shown_default(self) -> str:
        """The default as people read it; "" when there is none."""
        if self.default_text or self.default is None or self.default in ("", {}, ()):
            return self.default_text
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


def declared(
    default: Any,
    kind: Kind,
    help: str,
    *,
    key: str = "",
    unit: str = "",
    required: bool = False,
    default_text: str = "",
    aliases: tuple[str, ...] = (),
    ignored: str = "",
    refused: str = "",
    used: str = "",
) -> Any:
    """Declare a field of one of the definitions. `default` may be a class: each definition gets one of its own."""
    rest = {
        "key": key,
        "kind": kind,
        "help": help,
        "unit": unit,
        "required": required,
        "default_text": default_text,
        "aliases": aliases,
        "ignored": ignored,
        "refused": refused,
        "used": used,
    }
    if isinstance(default, type):
        factory: Callable[[], Any] = default
        return field(default_factory=factory, metadata={"declared": rest})
    return field(default=default, metadata={"declared": rest})


def declarations(group: type[Any]) -> Iterator[Declared]:
    """The fields of one group, in the order they are written down."""
    for item in fields(group):
        rest = item.metadata.get("declared")
        if rest is None:
            continue
        default = None if item.default is MISSING else item.default
        yield Declared(name=item.name, default=default, **{**rest, "key": rest["key"] or item.name})
