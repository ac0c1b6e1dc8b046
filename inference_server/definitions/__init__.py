"""Endpoints and deployments as YAML files describe them: Azure's fields, each declared once.

file ─► tree (every part with its line) ─► --set ─► fields, by their declarations ─► rules between fields ─► definition
"""

from inference_server.definitions.deployment import DeploymentDefinition
from inference_server.definitions.endpoint import EndpointDefinition
from inference_server.definitions.environment import InlineEnvironment
from inference_server.definitions.errors import DefinitionError, Remark
from inference_server.definitions.groups import written
from inference_server.definitions.load import Definition, read_deployment, read_endpoint
from inference_server.definitions.model import InlineModel
from inference_server.definitions.properties import EndpointProperties
from inference_server.definitions.references import AssetReference
from inference_server.definitions.traffic import shares_of

__all__ = [
    "AssetReference",
    "Definition",
    "DefinitionError",
    "DeploymentDefinition",
    "EndpointDefinition",
    "EndpointProperties",
    "InlineEnvironment",
    "InlineModel",
    "Remark",
    "read_deployment",
    "read_endpoint",
    "shares_of",
    "written",
]
