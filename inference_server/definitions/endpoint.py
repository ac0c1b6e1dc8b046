"""An endpoint's file: its name, who may call it, and how its traffic is shared among deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference_server.definitions.declare import declared
from inference_server.definitions.groups import Group, GroupOrText
from inference_server.definitions.kinds import Choice, ListOf, MapOf, Text
from inference_server.definitions.names import NAME_PATTERN, wrong_with_name
from inference_server.definitions.properties import PROPERTIES, EndpointProperties
from inference_server.definitions.traffic import Shares

KEY, AML_TOKEN, AAD_TOKEN = "key", "aml_token", "aad_token"
SYSTEM_ASSIGNED, USER_ASSIGNED = "system_assigned", "user_assigned"
KUBERNETES_REFUSED = (
    "an endpoint with compute runs on a Kubernetes cluster, not on this machine: take compute out to run it here; "
    "manifests for a cluster are for a later version to write"
)
_IDENTITY = "models and secrets are read with the credentials of this machine"
_SHOWN = "`show` tells it, nobody sets it"


@dataclass(frozen=True)
class UserIdentity:
    """An identity that was made beforehand."""

    resource_id: str = declared("", Text(), "Its id in Azure; the text alone will do.", required=True)


@dataclass(frozen=True)
class Identity:
    """As whom the endpoint reads models and secrets in Azure."""

    type: str = declared(
        SYSTEM_ASSIGNED,
        Choice((SYSTEM_ASSIGNED, USER_ASSIGNED)),
        "Azure's own for the endpoint, or one of yours.",
    )
    user_assigned_identities: tuple[UserIdentity, ...] = declared(
        (), ListOf(GroupOrText(Group(UserIdentity), "resource_id")), "Yours."
    )


@dataclass(frozen=True)
class EndpointDefinition:
    """One endpoint, as its file describes it."""

    schema: str = declared(
        "", Text(free=True), "For editors; a Kubernetes one has the rules of Kubernetes hold.", key="$schema"
    )
    name: str = declared(
        "",
        Text(check=wrong_with_name, pattern=NAME_PATTERN),
        "Name of the endpoint: a letter, then letters, digits and single dashes, 3 to 32 characters.",
        required=True,
    )
    auth_mode: str = declared(
        KEY,
        Choice((KEY, AML_TOKEN, AAD_TOKEN)),
        "What callers show: a key, a token of the endpoint, an issuer's token.",
    )
    description: str = declared("", Text(free=True), "Your own words.")
    tags: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own labels.")
    properties: EndpointProperties = declared(
        EndpointProperties, PROPERTIES, "Settings of the endpoint here; any others are kept and shown."
    )
    identity: Identity | None = declared(
        None, Group(Identity), "As whom the endpoint reads models and secrets.", ignored=_IDENTITY
    )
    public_network_access: str = declared(
        "enabled", Choice(("enabled", "disabled")), "`disabled`: only this machine reaches the endpoint."
    )
    compute: str = declared(
        "", Text(), "The Kubernetes cluster, as `azureml:NAME`.", refused=KUBERNETES_REFUSED
    )
    traffic: Mapping[str, int] | None = declared(
        None,
        Shares(),
        "Each deployment's share. Together 0 (off) or 100. Deployments must be there, so it is set by an update.",
        unit="per cent",
        default_text="an only deployment gets all",
    )
    mirror_traffic: Mapping[str, int] | None = declared(
        None,
        Shares(),
        "One deployment that gets copies of a share of requests, at most 50, and no traffic of its own.",
        unit="per cent",
        default_text="none",
    )
    location: str = declared("", Text(free=True), "Region.", ignored=_SHOWN)
    provisioning_state: str = declared(
        "", Text(free=True), "How far the last operation has come.", ignored=_SHOWN
    )
    scoring_uri: str = declared("", Text(free=True), "Address for requests.", ignored=_SHOWN)
    openapi_uri: str = declared("", Text(free=True), "Address of the description.", ignored=_SHOWN)
    kind: str = declared("", Text(free=True), "Managed or Kubernetes.", ignored=_SHOWN)
    id: str = declared("", Text(free=True), "Azure's resource id.", ignored=_SHOWN)

    @property
    def is_kubernetes(self) -> bool:
        """Whether the rules of Kubernetes hold."""
        return bool(self.compute) or "kubernetes" in self.schema.lower()


ENDPOINT = Group(EndpointDefinition)
