"""`--set a.b=c`: what a command changes of a file. Values are YAML's scalars, or JSON.

instance_count=2    tags.team=search    tags["cost.center"]=7    identity.user_assigned_identities[0].resource_id=…
environment='{"image": "…"}'    description=null    takes the field out
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from inference_server.definitions.errors import Remark
from inference_server.definitions.tree import (
    List,
    Node,
    Place,
    Scalar,
    Steps,
    Table,
    has_half,
    is_null,
    spelled,
    tree_of,
)

_USUAL = "write --set FIELD=VALUE such as --set request_settings.request_timeout_ms=90000"
_STEP = re.compile(
    r"""(?:(?P<dot>\.)?(?P<name>[^.\[\]'"\s=]+))|\[(?P<index>\d{1,6})\]|\[(?P<q>['"])(?P<quoted>.+?)(?P=q)\]"""
)
_FIELD = re.compile(
    r"""(?:\[(?:"[^"]*"|'[^']*'|[^\]]*)\]|[^=\[])*"""
)  # all before the first = outside of brackets


class BadOverride(ValueError):
    """An override that cannot be made; the text says why and what to write."""


def applied(root: Table, overrides: tuple[str, ...]) -> list[Remark]:
    """Change a tree; what is wrong with the overrides themselves comes back."""
    problems = []
    for text in overrides:
        place = Place(f"--set {text if len(text) <= 60 else text[:59] + '…'}")
        try:
            steps, value = _read(text, place)
            put(root, steps, value)
        except BadOverride as error:
            problems.append(Remark(str(place), "", str(error)))
    return problems


def put(root: Table, steps: Steps, value: Node) -> None:
    """Set one field; what leads to it is made. Null takes it out. Raises BadOverride."""
    node: Node = root
    for depth, step in enumerate(steps[:-1]):
        deeper: Node = List(value.place) if isinstance(steps[depth + 1], int) else Table(value.place)
        node = _child(node, steps[: depth + 1], step, deeper)
    _child(node, steps, steps[-1], value, replaces=True)


def _child(node: Node, steps: Steps, step: str | int, new: Node, replaces: bool = False) -> Node:
    """What `step` leads to; `new` where there is nothing yet, or in place of what there is."""
    above = spelled(steps[:-1])
    if isinstance(step, int):
        if not isinstance(node, List):
            raise BadOverride(f"{above or 'the definition'} is no list, {_USUAL}")
        if step > len(node.items):
            raise BadOverride(f"{above} has {len(node.items)} items, write [{len(node.items)}] for one more")
        if step == len(node.items):
            node.items.append(new)
        elif replaces or is_null(node.items[step]):
            node.items[step] = new
        return node.items[step]
    if not isinstance(node, Table):
        what = (
            "a list: write a number in brackets"
            if isinstance(node, List)
            else f"{_text(node)}: set all of it"
        )
        raise BadOverride(
            f"{above} is {what}, such as --set '{above}" + ("[0]=…'" if isinstance(node, List) else "={…}'")
        )
    if replaces and is_null(new):
        node.items.pop(step, None)
        return new
    if replaces or is_null(node.items.get(step)):
        node.items[step] = new
        node.names[step] = new.place
    return node.items[step]


def _text(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else "a value"


def _read(text: str, place: Place) -> tuple[Steps, Node]:
    match = _FIELD.match(text)
    field = match[0] if match else ""
    if not text[len(field) :].startswith("="):
        raise BadOverride(f"has no value, {_USUAL}")
    return _steps(field.strip()), _value(text[len(field) + 1 :], place)


def _steps(field: str) -> Steps:
    steps: list[str | int] = []
    at = 0
    while at < len(field):
        found = _STEP.match(field, at)
        if found is None or (found["name"] and bool(found["dot"]) != bool(at)):
            break
        steps.append(int(found["index"]) if found["index"] else found["name"] or found["quoted"])
        at = found.end()
    if at < len(field) or not steps or isinstance(steps[0], int) or len(steps) > 40:
        raise BadOverride(f"{field!r} is no field, {_USUAL}")
    return tuple(steps)


def _value(text: str, place: Place) -> Node:
    """JSON where it begins like that; else the text, which the field reads as it would in a file."""
    if text[:1] not in ("{", "[", '"'):
        if has_half(text):
            raise BadOverride("holds bytes that are no UTF-8 text")
        return Scalar(place, text, quoted=text == "")
    try:
        return tree_of(json.loads(text, object_pairs_hook=_once), place)
    except RecursionError:
        raise BadOverride("nests too deep") from None
    except json.JSONDecodeError as error:
        raise BadOverride(
            f"is no JSON ({error.msg} at character {error.colno}), quote it from the shell"
        ) from None
    except ValueError as error:
        raise BadOverride(str(error)) from None


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} stands there twice, keep one")
        found[name] = value
    return found
