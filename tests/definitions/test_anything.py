"""Whatever stands in a file: a definition, or problems with their places; never anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_server.definitions import DefinitionError, read_deployment, read_endpoint, written
from inference_server.definitions.declare import declarations
from inference_server.definitions.deployment import DEPLOYMENT
from inference_server.definitions.endpoint import ENDPOINT
from inference_server.definitions.groups import Group, inner_groups
from inference_server.definitions.tree import spelled
from tests.definitions.examples import DEPLOYMENTS, ENDPOINTS

SETTINGS = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def fields(group: Group, steps: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for item in declarations(group.group):
        yield (*steps, item.key)
        for inner in inner_groups(item.kind):
            yield from fields(inner, (*steps, item.key))


READERS: dict[str, tuple[Callable[..., Any], list[tuple[str, ...]], list[str]]] = {
    "endpoint": (read_endpoint, list(fields(ENDPOINT)), list(ENDPOINTS.values())),
    "deployment": (read_deployment, list(fields(DEPLOYMENT)), list(DEPLOYMENTS.values())),
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.dates()
    | st.binary(max_size=8)
    | st.sampled_from(
        ["{{A}}", "<A>", "azureml:a:1", "azureml://registries/r/models/m", "https://h/x", "..", "/", "a/b"]
    )
)
KEYS = (
    st.text(max_size=12)
    | st.integers()
    | st.none()
    | st.sampled_from(["name", "path", "type", "port", "blue", "<<"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def settle(read: Callable[..., Any], path: Path, *overrides: str) -> None:
    try:
        made = read(path, overrides).made
    except DefinitionError as error:
        said = error
    else:
        assert read(values=written(made)).made == made
        return
    assert said.problems
    assert all(problem.where and problem.message for problem in said.problems)
    assert len(str(said).splitlines()) == len(said.problems)
    str(said).encode()


@pytest.mark.parametrize("kind", READERS)
@SETTINGS
@given(data=st.data())
def test_any_value_anywhere(write: Callable[[str], Path], kind: str, data: st.DataObject) -> None:
    read, places, examples = READERS[kind]
    content = yaml.safe_load(data.draw(st.sampled_from(examples)))
    for steps in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        at = content
        for step in steps[:-1]:
            if not isinstance(at.get(step), dict):
                at[step] = {}
            at = at[step]
        at[steps[-1]] = data.draw(VALUES)
    settle(read, write(yaml.safe_dump(content, allow_unicode=data.draw(st.booleans()))))


@SETTINGS
@given(
    text=st.text(alphabet=st.sampled_from("ab:{}[]<>&*!|>-?#'\"%@`,~ \n\t\\0x1.{{}}${é\u2028"), max_size=60)
)
def test_any_text(write: Callable[[str], Path], text: str) -> None:
    settle(read_endpoint, write(text))
    settle(read_deployment, write(f"name: {text}"))


@SETTINGS
@given(
    steps=st.sampled_from(READERS["deployment"][1]),
    value=st.text(alphabet=st.characters(exclude_characters="\0"), max_size=30),
    text=st.text(max_size=30),
)
def test_any_override(write: Callable[[str], Path], steps: tuple[str, ...], value: str, text: str) -> None:
    path = write(DEPLOYMENTS["blue"])
    settle(read_deployment, path, f"{spelled(steps)}={value}")
    settle(read_deployment, path, text)
