"""From a file, or from values, to a definition: every problem at once, each with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from inference_server.definitions import deployment_rules, endpoint_rules
from inference_server.definitions.declare import declarations
from inference_server.definitions.deployment import DEPLOYMENT, DeploymentDefinition
from inference_server.definitions.endpoint import ENDPOINT, EndpointDefinition
from inference_server.definitions.errors import DefinitionError, Remark
from inference_server.definitions.groups import Group, inner_groups
from inference_server.definitions.overrides import applied, put
from inference_server.definitions.reading import Reading, remark
from inference_server.definitions.tree import Node, Place, Scalar, Steps, Table, tree_of
from inference_server.definitions.yaml_file import parsed

Made = TypeVar("Made", EndpointDefinition, DeploymentDefinition)
_DEPTH = 3  # groups within groups


@dataclass(frozen=True)
class Definition(Generic[Made]):
    """What was read, and what there is to say of it.

    `notes`: what a person should know, above all what is ignored here. `refusals`: why this machine cannot run it, though
    it is right elsewhere.
    """

    made: Made
    source: str  # the file, or what else it comes from
    places: Mapping[Steps, Place] = field(repr=False)  # where each field stands
    notes: tuple[Remark, ...] = ()
    refusals: tuple[Remark, ...] = ()

    def for_this_machine(self) -> Made:
        """The definition, to be run here. Raises DefinitionError where it cannot be."""
        if self.refusals:
            raise DefinitionError(self.refusals)
        return self.made

    def error(self, at: Steps, message: str) -> DefinitionError:
        """What a caller finds wrong with a field, with the place that it stands at."""
        return DefinitionError([remark(self.places, self.source, at, message)])


def read_endpoint(
    path: Path | str | None = None,
    overrides: Iterable[str] | None = (),
    given: Mapping[str, Any] | None = None,
    *,
    values: Mapping[str, Any] | None = None,
    checks_paths: bool = True,
) -> Definition[EndpointDefinition]:
    """An endpoint from a YAML file, from `values` (as `written` makes them), or from flags alone.

    `overrides`: what stands after --set; None where a command has no such flag. `given`: fields that flags of their own
    name, by their paths (`endpoint_name`); they win over all. Relative paths start from the file's folder, without a file
    from the current one. Raises DefinitionError, and InferenceServerError without PyYAML.
    """
    asked = _Asked(
        path, None if overrides is None else tuple(overrides), given or {}, values, checks_paths, True
    )
    return _read(ENDPOINT, endpoint_rules.check, asked, "endpoint")


def read_deployment(
    path: Path | str | None = None,
    overrides: Iterable[str] | None = (),
    given: Mapping[str, Any] | None = None,
    *,
    values: Mapping[str, Any] | None = None,
    checks_paths: bool = True,
    complete: bool = True,
) -> Definition[DeploymentDefinition]:
    """A deployment; see `read_endpoint`. `complete`: whether what every deployment needs must be there."""
    asked = _Asked(
        path, None if overrides is None else tuple(overrides), given or {}, values, checks_paths, complete
    )
    return _read(DEPLOYMENT, deployment_rules.check, asked, "deployment")


@dataclass(frozen=True)
class _Asked:
    path: Path | str | None
    overrides: tuple[str, ...] | None
    given: Mapping[str, Any]
    values: Mapping[str, Any] | None
    checks_paths: bool
    complete: bool


def _read(group: Group, check: Callable[[Made, Reading], Made], asked: _Asked, what: str) -> Definition[Made]:
    path = None if asked.path is None else Path(asked.path)
    source = str(path) if path else f"the {what}"
    reading = Reading(
        source,
        path.absolute().parent if path else Path.cwd(),
        asked.checks_paths,
        asked.complete,
        has_set=asked.overrides is not None,
        template=_filled(path),
        elsewhere=_elsewhere(what),
    )
    root = _root(path, asked, reading, what)
    reading.problems += applied(root, asked.overrides or ())
    for name, value in asked.given.items():
        put(root, tuple(name.split(".")), _tree(value, Place(f"--{name.replace('_', '-')}")))
    reading.of(root)
    _is_the_other(root, reading, what)
    made = group.read(root, (), reading)
    if isinstance(made, group.group):
        made = check(made, reading)
    if reading.problems:
        raise DefinitionError(reading.problems)
    return Definition(made, source, reading.places, tuple(reading.notes), tuple(reading.refusals))


def _root(path: Path | None, asked: _Asked, reading: Reading, what: str) -> Table:
    node: Node | None
    if path is not None:
        node, problems = parsed(path)
        reading.problems += problems
    else:
        node = _tree(asked.values or {}, Place(reading.source))
    if node is None or (isinstance(node, Scalar) and node.is_null):
        node = Table(Place(reading.source))
    if not isinstance(node, Table):
        message = f"is no {what}: expects fields such as `name: …`, each on a line"
        raise DefinitionError([Remark(reading.source, "", message)])
    return node


def _tree(value: Any, place: Place) -> Node:
    try:
        return tree_of(value, place)
    except ValueError as error:
        raise DefinitionError([Remark(str(place), "", str(error))]) from None


def _filled(path: Path | None) -> str:
    """The copy of a file with placeholders, `deployment.yml_`, where it lies beside it."""
    filled = path.with_name(f"{path.name}_") if path and path.name else None
    return filled.name if filled and filled.is_file() else ""


def _is_the_other(root: Table, reading: Reading, what: str) -> None:
    schema = root.items.get("$schema")
    other = {"endpoint": "deployment", "deployment": "endpoint"}[what]
    if isinstance(schema, Scalar) and re.search(rf"online{other}", schema.text, re.IGNORECASE):
        message = f"belongs to the {other}'s file, and this should be the {what}'s: give that"
        raise DefinitionError([Remark(str(schema.place), "$schema", message, schema.place.line)])


def _elsewhere(what: str) -> Mapping[str, str]:
    """Where fields belong that people write in a wrong place."""
    own, other = (ENDPOINT, DEPLOYMENT) if what == "endpoint" else (DEPLOYMENT, ENDPOINT)
    other_name = "deployment" if what == "endpoint" else "endpoint"
    found = {item.key: f"in the {other_name}'s file" for item in declarations(other.group)}
    found.update({item.key: "at the left edge of the file" for item in declarations(own.group)})
    found.update({name: f"below {path}" for name, path in _nested(own, "", 0) if name not in found})
    return found


def _nested(group: Group, path: str, depth: int) -> Iterable[tuple[str, str]]:
    for item in declarations(group.group):
        for inner in inner_groups(item.kind):
            where = f"{path}.{item.key}" if path else item.key
            yield from ((child.key, where) for child in declarations(inner.group))
            if depth < _DEPTH:
                yield from _nested(inner, where, depth + 1)
