"""--set: typed as in the file, JSON where it begins like that, every mistake with its own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.definitions import (
    DefinitionError,
    InlineEnvironment,
    InlineModel,
    read_deployment,
    read_endpoint,
    shares_of,
)
from tests.definitions.examples import DEPLOYMENTS, ENDPOINTS

Write = Callable[[str], Path]


def test_values(write: Write) -> None:
    made = read_deployment(
        write(DEPLOYMENTS["blue"].replace("name: blue", "name: {{NAME}}")),
        [
            "name=demo",
            "instance_count=2",
            "request_settings.request_timeout_ms=90000",
            'tags["cost.center"]=0042',
            "tags.empty=",
            "tags.equals=a=b",
            "environment_variables.MODE=on",
            "environment_variables.PROMPT=Dear {{customer}}, <BR>",
            'environment={"image": "x:1", "inference_config": {"scoring_route": {"path": "/a", "port": 80}}}',
            "app_insights_enabled=True",
            "model.type=null",
        ],
    ).made
    assert (made.name, made.instance_count, made.request_settings.request_timeout_ms) == ("demo", 2, 90000)
    assert made.tags == {"cost.center": "0042", "empty": "", "equals": "a=b"}
    assert made.environment_variables == {"MODE": "on", "PROMPT": "Dear {{customer}}, <BR>"}
    assert made.is_container
    assert made.app_insights_enabled


def test_paths_start_from_the_file(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write(DEPLOYMENTS["blue"])
    monkeypatch.chdir(tmp_path)
    made = read_deployment(path, ["model.path=model-2/model"]).made
    assert isinstance(made.model, InlineModel)
    assert made.model.path == path.parent / "model-2" / "model"


def test_lists_and_removal(write: Write) -> None:
    path = write(ENDPOINTS["identity"])
    made = read_endpoint(
        path,
        [
            "identity.user_assigned_identities[0].resource_id=one",
            "identity.user_assigned_identities[2]=three",
            "description=null",
        ],
    ).made
    assert made.identity
    assert [item.resource_id[-3:] for item in made.identity.user_assigned_identities] == ["one", "two", "ree"]
    assert read_endpoint(path, ["identity=null"]).made.identity is None


def test_flags_win(write: Write) -> None:
    made = read_deployment(
        write(DEPLOYMENTS["blue"]),
        ["name=other"],
        {"name": "green", "endpoint_name": "abc", "instance_count": 3},
    ).made
    assert (made.name, made.endpoint_name, made.instance_count) == ("green", "abc", 3)
    assert read_endpoint(given={"name": "abc", "auth_mode": "aml_token"}).made.auth_mode == "aml_token"
    shares = shares_of("blue=90 green=10%")
    assert read_endpoint(given={"name": "abc", "traffic": shares}).made.traffic == {"blue": 90, "green": 10}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("instance_count", "has no value, write --set FIELD=VALUE"),
        ("", "has no value"),
        ("=5", "'' is no field"),
        ("a..b=5", "'a..b' is no field"),
        (".a=5", "'.a' is no field"),
        ("a.=5", "'a.' is no field"),
        ("[0]=5", "'[0]' is no field"),
        ("a[x]=5", "'a[x]' is no field"),
        ("tags={a", "is no JSON (Expecting property name enclosed in double quotes at character 2)"),
        ('tags={"a": 1, "a": 2}', "a stands there twice, keep one"),
        ("tags=" + "[" * 5000, "nests"),
        ("name.first=a", "name is blue: set all of it, such as --set 'name={…}'"),
        ("name[0]=a", "name is no list"),
        ("tags[1]=a", "tags has 0 items, write [0] for one more"),
        ("instance_count=two", "instance_count: got 'two', write a whole number"),
        ("instance_cuont=2", "instance_cuont: is no field here, write instance_count"),
        ("tags=\udcff", "holds bytes that are no UTF-8 text"),
    ],
)
def test_mistakes(write: Write, override: str, expected: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_deployment(write(DEPLOYMENTS["blue"]), [override])
    assert any(line.startswith("--set ") and expected in line for line in str(caught.value).splitlines()), (
        caught.value
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("blue", "got 'blue', write names"), ("=5", "got '=5'"), ("a=1 a=2", "got a twice")],
)
def test_shares(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        shares_of(text)


def test_an_environment_by_parts(write: Write) -> None:
    made = read_deployment(
        write(DEPLOYMENTS["mlflow"]), ["environment.image=azureml/mlflow:1", "environment_variables.A=1"]
    ).made
    assert isinstance(made.environment, InlineEnvironment)
    assert made.environment.image == "azureml/mlflow:1"
