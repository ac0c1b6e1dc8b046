"""Rules that hold between a deployment's fields."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from inference_server.definitions.deployment import KUBERNETES, MANAGED, DeploymentDefinition
from inference_server.definitions.environment import InlineEnvironment
from inference_server.definitions.model import CUSTOM, MLFLOW, NO_CODE, InlineModel
from inference_server.definitions.names import (
    KUBERNETES_TIMEOUT_MS,
    LEAST_BOTH,
    MANAGED_TIMEOUT_MS,
    MOST_BOTH,
    PROMPT_FLOW_TIMEOUT_MS,
)
from inference_server.definitions.reading import Reading
from inference_server.definitions.references import AssetReference
from inference_server.definitions.scale import DEFAULT, TARGET_UTILIZATION

_SCALE = ("min_instances", "max_instances", "target_utilization_percentage", "polling_interval")


def check(deployment: DeploymentDefinition, reading: Reading) -> DeploymentDefinition:
    """The deployment with what its fields say of one another settled; `reading` is told of every rule that is broken.

    A rule is left out where its fields have problems of their own.
    """
    deployment = _with_type(deployment, reading)
    if reading.sound("model", "code_configuration", "environment"):
        _script(deployment, reading)
    if reading.sound("code_configuration"):
        _script_file(deployment, reading)
    if reading.sound("model"):
        _model(deployment, reading)
    if reading.sound("environment"):
        _environment(deployment, reading)
    if reading.sound("scale_settings", "type"):
        deployment = _scale(deployment, reading)
    if reading.sound("request_settings", "model", "type"):
        _limits(deployment, reading)
    if reading.sound("type", "liveness_probe"):
        _managed(deployment, reading)
    _kubernetes(deployment, reading)
    return deployment


def _with_type(deployment: DeploymentDefinition, reading: Reading) -> DeploymentDefinition:
    kubernetes = "kubernetes" in deployment.schema.lower()
    if kubernetes and reading.has("type") and deployment.type == MANAGED and reading.sound("type"):
        reading.problem(("type",), "got managed, and $schema is for Kubernetes, write one or the other")
    return replace(deployment, type=KUBERNETES) if kubernetes else deployment


def _script(deployment: DeploymentDefinition, reading: Reading) -> None:
    """A script, a model that needs none, or a whole image: one of them must be there."""
    model, environment = deployment.model, deployment.environment
    if deployment.code_configuration or deployment.is_container or not reading.complete:
        return
    if isinstance(model, AssetReference) or isinstance(environment, AssetReference):
        return  # what is registered may need no script
    if isinstance(model, InlineModel) and not model.needs_script:
        return
    hint = "write code_configuration: with code: and scoring_script: below it"
    if isinstance(model, InlineModel) and isinstance(model.path, Path) and (model.path / "MLmodel").is_file():
        reading.problem(("model",), f"lacks its type, write type: {MLFLOW} below it; or {hint}")
        return
    reading.problem((), f"has no script, and no model that needs none ({' or '.join(NO_CODE)}): {hint}")


def _script_file(deployment: DeploymentDefinition, reading: Reading) -> None:
    code = deployment.code_configuration
    if code is None or code.code is None:
        return
    at, script = ("code_configuration", "scoring_script"), code.scoring_script
    inside = os.path.normpath(script)
    if os.path.isabs(inside) or inside.split(os.sep)[0] == os.pardir or "\0" in inside:
        reading.problem(at, f"{script} lies outside of the code folder, write a path from there")
        return
    if not script.endswith(".py") and not deployment.is_container:
        reading.refusal(
            at, f"{script} is no Python script: only a container of its own (inference_config) can run it"
        )
    try:
        there = not reading.checks_paths or (code.code / inside).is_file()
    except OSError:  # a name that no file can have
        there = False
    if not there:
        reading.problem(at, f"there is no {script} in {code.code}, write a path from that folder")


def _model(deployment: DeploymentDefinition, reading: Reading) -> None:
    model = deployment.model
    if deployment.model_mount_path and not deployment.is_container and reading.sound("environment"):
        reading.note(
            ("model_mount_path",), "does nothing without inference_config: the script has AZUREML_MODEL_DIR"
        )
    if not isinstance(model, InlineModel) or model.type == CUSTOM or not reading.checks_paths:
        return
    if isinstance(model.path, Path) and not model.path.is_dir():
        reading.problem(
            ("model", "path"), f"{model.path} is no folder, which a model of type {model.type} is"
        )


def _environment(deployment: DeploymentDefinition, reading: Reading) -> None:
    environment, at = deployment.environment, ("environment",)
    if environment is None and deployment.code_configuration and reading.complete:
        reading.note(
            (), "has no environment, which Azure needs: the script runs in the server's own interpreter"
        )
    if not isinstance(environment, InlineEnvironment):
        return
    if environment.image and environment.build:
        reading.problem((*at, "build"), "stands beside image, write one of the two")
    if not (environment.image or environment.build or environment.conda_file):
        reading.problem(at, "says nothing to run in, write image: or conda_file: below it")
    if environment.inference_config and not (environment.image or environment.build):
        reading.problem((*at, "inference_config"), "describes a container, write the image: that is run")
    if environment.os_type != "linux":
        reading.refusal((*at, "os_type"), "images for Windows are not run here")
    if environment.image and not (environment.inference_config or environment.conda_file):
        reading.note(
            (*at, "image"),
            "without conda_file or inference_config the script runs in the server's own interpreter",
        )


def _scale(deployment: DeploymentDefinition, reading: Reading) -> DeploymentDefinition:
    scale = deployment.scale_settings
    if not scale.type:
        follows = deployment.is_kubernetes and reading.has("scale_settings")
        scale = replace(scale, type=TARGET_UTILIZATION if follows else DEFAULT)
    given = [name for name in _SCALE if reading.has("scale_settings", name)]
    if scale.type == DEFAULT and given:
        reading.note(
            ("scale_settings", given[0]),
            f"does nothing with type {DEFAULT}: write type: {TARGET_UTILIZATION} for that",
        )
    if scale.type == TARGET_UTILIZATION:
        if not deployment.is_kubernetes:
            reading.note(
                ("scale_settings",), "target_utilization is taken here; Azure has it on Kubernetes only"
            )
        if scale.min_instances > scale.max_instances:
            reading.problem(
                ("scale_settings", "max_instances"),
                f"got {scale.max_instances}, write at least min_instances ({scale.min_instances})",
            )
    return replace(deployment, scale_settings=scale)


def _limits(deployment: DeploymentDefinition, reading: Reading) -> None:
    model, timeout = deployment.model, deployment.request_settings.request_timeout_ms
    most, whose = MANAGED_TIMEOUT_MS, "a managed deployment"
    if isinstance(model, InlineModel) and any(
        key.startswith("azureml.promptflow") for key in model.properties
    ):
        most, whose = PROMPT_FLOW_TIMEOUT_MS, "prompt flow"
    if deployment.is_kubernetes:
        most, whose = KUBERNETES_TIMEOUT_MS, "a Kubernetes deployment"
    if timeout > most:
        reading.problem(
            ("request_settings", "request_timeout_ms"),
            f"got {timeout}, write at most {most}, the limit of {whose}",
        )
    if reading.has("request_settings", "max_queue_wait_ms") and not deployment.is_kubernetes:
        reading.note(
            ("request_settings", "max_queue_wait_ms"),
            "does nothing for a managed deployment: waiting counts as part of request_timeout_ms",
        )


def _managed(deployment: DeploymentDefinition, reading: Reading) -> None:
    if deployment.is_kubernetes:
        return
    if deployment.liveness_probe.success_threshold != 1:
        reading.problem(("liveness_probe", "success_threshold"), "is fixed for a managed deployment, write 1")
    if deployment.resources is not None:
        reading.note(("resources",), "is taken here; Azure has it on Kubernetes only")
    for name, meaning in (
        ("instance_type", "there is no limit on cores and memory"),
        ("instance_count", "it is 1"),
    ):
        if reading.complete and not reading.has(name) and reading.sound(name):
            reading.note((), f"has no {name}, which Azure needs: {meaning}")


def _kubernetes(deployment: DeploymentDefinition, reading: Reading) -> None:
    if not deployment.is_kubernetes:
        return
    both = len(deployment.name) + len(deployment.endpoint_name)
    named = deployment.name and deployment.endpoint_name
    if named and not LEAST_BOTH <= both <= MOST_BOTH:
        reading.problem(
            ("name",),
            f"has {both} characters with the endpoint's, write {LEAST_BOTH} to {MOST_BOTH} for both on Kubernetes",
        )
    for field, asset in (("model", deployment.model), ("environment", deployment.environment)):
        if isinstance(asset, AssetReference) and asset.registry:
            reading.problem(
                (field,),
                "comes from a registry, which Kubernetes deployments do not take: write a workspace's",
            )
