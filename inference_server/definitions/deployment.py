"""A deployment's file: the script or model, what it runs in, how many of it and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference_server.definitions.collector import DataCollector
from inference_server.definitions.declare import declared
from inference_server.definitions.environment import ENVIRONMENT, InlineEnvironment
from inference_server.definitions.groups import Asset, Group
from inference_server.definitions.kinds import Choice, MapOf, Switch, Text, Whole
from inference_server.definitions.model import CODE, MODEL, CodeConfiguration, InlineModel
from inference_server.definitions.names import (
    MOST_INSTANCES,
    NAME_PATTERN,
    wrong_with_name,
    wrong_with_variable,
)
from inference_server.definitions.references import AssetReference
from inference_server.definitions.scale import PROBE, Probe, RequestSettings, Resources, ScaleSettings

MANAGED, KUBERNETES = "managed", "kubernetes"


def _wrong_with_mount(path: str) -> str:
    return "" if path.startswith("/") else f"got {path!r}, write an absolute path such as /models"


@dataclass(frozen=True)
class DeploymentDefinition:
    """One deployment, as its file describes it."""

    schema: str = declared(
        "", Text(free=True), "For editors; a Kubernetes one makes the type `kubernetes`.", key="$schema"
    )
    name: str = declared(
        "",
        Text(check=wrong_with_name, pattern=NAME_PATTERN),
        "Name of the deployment: a letter, then letters, digits and single dashes, 3 to 32 characters.",
        required=True,
    )
    endpoint_name: str = declared(
        "",
        Text(check=wrong_with_name, pattern=NAME_PATTERN),
        "The endpoint that it belongs to; may be given by flag.",
    )
    type: str = declared(
        MANAGED,
        Choice((MANAGED, KUBERNETES)),
        "Whose rules hold. A Kubernetes deployment may say more of its scale and resources, and needs no instance type.",
    )
    description: str = declared("", Text(free=True), "Your own words.")
    tags: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own labels.")
    properties: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Keys of tools.")
    model: AssetReference | InlineModel | None = declared(None, Asset("model", MODEL), "The model.")
    model_mount_path: str = declared(
        "",
        Text(check=_wrong_with_mount, pattern="^/"),
        "Where a container finds the model.",
        default_text="below the app folder",
        used="With `inference_config`; a script here finds its model by AZUREML_MODEL_DIR.",
    )
    code_configuration: CodeConfiguration | None = declared(
        None, CODE, "The script and its folder; none for models that need no script, and for whole images."
    )
    environment: AssetReference | InlineEnvironment | None = declared(
        None, Asset("environment", ENVIRONMENT), "What it runs in."
    )
    environment_variables: Mapping[str, str] = declared(
        dict,
        MapOf(Text(free=True), wrong_with_variable),
        "Variables for the script. References to secrets (`${{keyvault:…}}`) are resolved when it starts.",
    )
    instance_type: str = declared(
        "",
        Text(),
        "Size of the machine, or of the instance on Kubernetes.",
        used="As a limit on cores and memory.",
    )
    instance_count: int = declared(
        1, Whole(1, MOST_INSTANCES), "Number of instances.", used="Times WORKER_COUNT."
    )
    scale_settings: ScaleSettings = declared(
        ScaleSettings,
        Group(ScaleSettings),
        "Whether the number of instances follows the load.",
        aliases=("scale_setting",),
    )
    request_settings: RequestSettings = declared(
        RequestSettings, Group(RequestSettings), "Limits of requests."
    )
    liveness_probe: Probe = declared(
        Probe, PROBE, "When an instance counts as alive; one that does not is restarted."
    )
    readiness_probe: Probe = declared(
        Probe, PROBE, "When an instance counts as ready; one that does not gets no requests."
    )
    app_insights_enabled: bool = declared(
        False, Switch(), "Whether Application Insights is told of requests."
    )
    egress_public_network_access: str = declared(
        "enabled",
        Choice(("enabled", "disabled")),
        "Whether the deployment may reach the open network.",
        ignored="the network of this machine is not closed to the script",
    )
    private_network_connection: bool | None = declared(
        None,
        Switch(),
        "Whether the deployment has a private connection of its own.",
        ignored="there is no virtual network on one machine",
    )
    resources: Resources | None = declared(
        None, Group(Resources), "What an instance may take; Kubernetes only in Azure."
    )
    data_collector: DataCollector | None = declared(
        None,
        Group(DataCollector),
        "What is kept of requests and answers.",
        ignored="requests and answers are not collected yet (--record keeps some of them)",
    )

    @property
    def is_kubernetes(self) -> bool:
        """Whether the rules of Kubernetes hold."""
        return self.type == KUBERNETES

    @property
    def is_container(self) -> bool:
        """Whether an image that is a server of its own is what runs."""
        return (
            isinstance(self.environment, InlineEnvironment) and self.environment.inference_config is not None
        )


DEPLOYMENT = Group(DeploymentDefinition)
