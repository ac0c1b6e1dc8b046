"""Files of each sort are read as they stand; what is read is written and read again the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

from inference_server.definitions import (
    AssetReference,
    DefinitionError,
    InlineEnvironment,
    InlineModel,
    read_deployment,
    read_endpoint,
    written,
)
from inference_server.definitions.schema import FOLDER
from tests.definitions.examples import DEPLOYMENTS, ENDPOINTS

Write = Callable[[str], Path]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoints(write: Write, name: str) -> None:
    made = read_endpoint(write(ENDPOINTS[name])).made
    assert read_endpoint(values=written(made)).made == made
    assert read_endpoint(values=written(made, defaults=True)).made == made
    assert json.loads(json.dumps(written(made, defaults=True)))["name"] == made.name


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_deployments(write: Write, name: str) -> None:
    made = read_deployment(write(DEPLOYMENTS[name])).made
    assert read_deployment(values=written(made)).made == made
    assert read_deployment(values=written(made, defaults=True)).made == made
    assert json.loads(json.dumps(written(made, defaults=True)))["name"] == made.name


@pytest.fixture(scope="module")
def schemas() -> dict[str, Callable[[Any], Any]]:
    return {
        name: fastjsonschema.compile(json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")))
        for name in ("endpoint", "deployment")
    }


def test_schemas_accept_them(schemas: dict[str, Callable[[Any], Any]]) -> None:
    for kind, examples in (("endpoint", ENDPOINTS), ("deployment", DEPLOYMENTS)):
        for text in examples.values():
            schemas[kind](yaml.safe_load(text))


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("endpoint", {"name": "my-endpoint", "auth_mode": "password"}),
        ("endpoint", {"auth_mode": "key"}),
        ("endpoint", {"name": "my_endpoint"}),
        ("endpoint", {"name": "my-endpoint", "traffic": {"blue": 101}}),
        ("deployment", {"instance_counts": 1}),
        ("deployment", {"instance_count": "many"}),
        ("deployment", {"model": {"name": "no-path"}}),
        ("deployment", {"model": "my-model:1"}),
        (
            "deployment",
            {"environment": {"inference_config": {"scoring_route": {"path": "score", "port": 1}}}},
        ),
        ("deployment", {"liveness_probe": {"period": 0}}),
    ],
)
def test_schemas_refuse(schemas: dict[str, Callable[[Any], Any]], kind: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        schemas[kind](wrong)


def test_what_a_deployment_says(write: Write, beside: Path) -> None:
    blue = read_deployment(write(DEPLOYMENTS["blue"])).made
    assert isinstance(blue.model, InlineModel)
    assert blue.model.path == beside / "model-1" / "model"
    assert blue.code_configuration
    assert blue.code_configuration.code == beside / "model-1" / "onlinescoring"
    assert (blue.request_settings.request_timeout_ms, blue.liveness_probe.failure_threshold) == (5000, 30)
    assert blue.request_settings.max_concurrent_requests_per_instance is None

    green = read_deployment(write(DEPLOYMENTS["green"])).made
    assert green.model == AssetReference("azureml:my-model:2", "my-model", "2")
    assert green.environment == AssetReference("azureml:my-env@latest", "my-env", label="latest")
    assert green.liveness_probe == replace(
        blue.liveness_probe, initial_delay=180, period=180, timeout=299, failure_threshold=49
    )

    registry = read_deployment(write(DEPLOYMENTS["registry"])).made
    assert isinstance(registry.model, AssetReference)
    assert (registry.model.registry, registry.model.name, registry.model.version) == (
        "azureml",
        "t5-small",
        "1",
    )
    assert isinstance(registry.environment, AssetReference)
    assert registry.environment.label == "latest"

    container = read_deployment(write(DEPLOYMENTS["container"])).made
    assert container.is_container
    assert isinstance(container.environment, InlineEnvironment)
    assert container.environment.inference_config
    assert container.environment.inference_config.scoring_route
    assert container.environment.inference_config.scoring_route.port == 8501

    variables = read_deployment(write(DEPLOYMENTS["secrets"])).made.environment_variables
    assert variables["AOAI_KEY"] == "${{azureml://connections/aoai_connection/credentials/key}}"
    assert (variables["MODE"], variables["NUMBER"]) == ("on", "1.10")

    collector = read_deployment(write(DEPLOYMENTS["collector"])).made.data_collector
    assert collector
    assert [item.enabled for item in collector.collections.values()] == [True, True]

    kubernetes = read_deployment(write(DEPLOYMENTS["kubernetes-green"])).made
    assert (kubernetes.type, kubernetes.scale_settings.max_instances) == ("kubernetes", 3)
    limits = read_deployment(write(DEPLOYMENTS["kubernetes-blue"])).made.resources
    assert limits
    assert limits.limits
    assert (limits.limits.gpu, limits.limits.cpu) == ("1", "0.2")


def test_what_an_endpoint_says(write: Write) -> None:
    here = read_endpoint(write(ENDPOINTS["here"])).made
    assert here.auth_mode == "aad_token"
    assert (here.traffic, here.mirror_traffic) == ({"blue": 90, "green": 10}, {"shadow": 10})
    assert (here.properties.port, here.properties.tls_self_signed) == (8443, True)
    assert (here.properties.token_life, here.properties.refresh_after) == (12 * 3600, 8 * 3600)
    assert here.properties.others == {"cost-center": "0042"}
    assert read_endpoint(write(ENDPOINTS["managed"])).made.traffic is None
    off = read_endpoint(write("name: abc\ntraffic: {blue: 0}")).made
    assert off.traffic == {}, "off is not the same as never set"
    identity = read_endpoint(write(ENDPOINTS["identity"])).made.identity
    assert identity
    assert [item.resource_id[-3:] for item in identity.user_assigned_identities] == ["one", "two"]


def test_notes_and_refusals(write: Write) -> None:
    def lines(remarks: Any) -> list[str]:
        return [str(remark).rpartition("/")[2] for remark in remarks]

    closed = read_endpoint(write(ENDPOINTS["closed"]))
    assert lines(closed.notes) == [
        "file.yml:8: properties.enforce_access_to_default_secret_stores: does nothing here: "
        "secrets are read with the credentials of this machine"
    ]
    assert not closed.refusals
    cluster = read_endpoint(write(ENDPOINTS["kubernetes"]))
    assert cluster.made.compute == "azureml:inferencecompute"
    with pytest.raises(DefinitionError, match=r"file\.yml:3: compute: .*runs on a Kubernetes cluster"):
        cluster.for_this_machine()
    assert read_endpoint(write(ENDPOINTS["here"])).for_this_machine().name == "my-endpoint"
    bare = read_endpoint(write("name: abc\nauth_mode: aad_token"))
    with pytest.raises(DefinitionError, match=r"write properties\.oidc_issuer"):
        bare.for_this_machine()
    green = read_deployment(write(DEPLOYMENTS["kubernetes-green"]))
    assert lines(green.notes) == ["file.yml:12: scale_setting: is read as scale_settings"]
    with pytest.raises(DefinitionError, match=r"environment\.build: images are not built"):
        read_deployment(write(DEPLOYMENTS["r"])).for_this_machine()
    waiting = read_deployment(write(DEPLOYMENTS["blue"] + "request_settings: {max_queue_wait_ms: 9}\n"))
    assert "does nothing for a managed deployment" in str(waiting.notes[0])
    closed_in = read_deployment(write(DEPLOYMENTS["registry"]))
    assert [note.field for note in closed_in.notes] == ["egress_public_network_access"]
