"""Rules that hold between an endpoint's fields."""

from __future__ import annotations

from inference_server.definitions.endpoint import AAD_TOKEN, USER_ASSIGNED, EndpointDefinition
from inference_server.definitions.properties import ENFORCE_ACCESS
from inference_server.definitions.reading import Reading
from inference_server.definitions.traffic import wrong_with_total


def check(endpoint: EndpointDefinition, reading: Reading) -> EndpointDefinition:
    """Tell `reading` of every rule that is broken. A rule is left out where its fields have problems of their own."""
    if reading.sound("traffic", "mirror_traffic", "properties"):
        _traffic(endpoint, reading)
    if reading.sound("identity", "properties"):
        _identity(endpoint, reading)
    if reading.sound("compute", "auth_mode", "mirror_traffic", "$schema"):
        _kubernetes(endpoint, reading)
    if reading.sound("auth_mode", "properties"):
        _tokens(endpoint, reading)
    if reading.sound("properties"):
        _tls(endpoint, reading)
    return endpoint


def _traffic(endpoint: EndpointDefinition, reading: Reading) -> None:
    traffic, mirrored = endpoint.traffic or {}, endpoint.mirror_traffic or {}
    wrong = wrong_with_total(traffic)
    if wrong:
        reading.problem(("traffic",), wrong)
    if len(mirrored) > 1:
        reading.problem(("mirror_traffic",), f"got {' and '.join(mirrored)}, write one deployment")
    most = endpoint.properties.mirror_traffic_limit
    for name, share in mirrored.items():
        at = ("mirror_traffic", _written(name, "mirror_traffic", reading))
        if share > most:
            reading.problem(
                at, f"got {share} per cent, write {most} or less (properties.mirror_traffic_limit says more)"
            )
        if traffic.get(name):
            reading.problem(
                at,
                f"{name} has live traffic ({traffic[name]} per cent), write 0 here or in traffic: it gets one of the two",
            )


def _written(name: str, field: str, reading: Reading) -> str:
    """A deployment's name as the file has it."""
    there = [str(steps[1]) for steps in reading.places if len(steps) == 2 and steps[0] == field]
    return next((item for item in there if item.lower() == name), name)


def _identity(endpoint: EndpointDefinition, reading: Reading) -> None:
    identity = endpoint.identity
    if identity is None:
        return
    chosen = identity.type == USER_ASSIGNED
    if chosen and not identity.user_assigned_identities:
        reading.problem(
            ("identity", "type"),
            "user_assigned lacks the identity, write user_assigned_identities: with - resource_id: …",
        )
    if not chosen and identity.user_assigned_identities:
        reading.problem(
            ("identity", "user_assigned_identities"),
            "goes with type: user_assigned, write that or take them out",
        )
    if chosen and endpoint.properties.enforce_access_to_default_secret_stores == "enabled":
        reading.problem(
            ("properties", ENFORCE_ACCESS),
            "goes with a system assigned identity only, write disabled or take it out",
        )


def _kubernetes(endpoint: EndpointDefinition, reading: Reading) -> None:
    if not endpoint.is_kubernetes:
        return
    if endpoint.auth_mode == AAD_TOKEN:
        reading.problem(("auth_mode",), "aad_token is for managed endpoints only, write key or aml_token")
    if endpoint.mirror_traffic:
        reading.problem(("mirror_traffic",), "Kubernetes endpoints do not mirror, take it out")
    if reading.has("public_network_access"):
        reading.note(
            ("public_network_access",),
            "is for managed endpoints only: Azure takes no notice of it on Kubernetes",
        )


def _tokens(endpoint: EndpointDefinition, reading: Reading) -> None:
    properties = endpoint.properties
    after = properties.token_refresh_after
    if after is not None and after > properties.token_life:
        reading.problem(
            ("properties", "token_refresh_after"),
            f"got {after}, write at most token_life ({properties.token_life})",
        )
    if endpoint.auth_mode != AAD_TOKEN:
        return
    if not properties.oidc_issuer:
        reading.refusal(
            ("auth_mode",), "aad_token needs to know whose tokens to take: write properties.oidc_issuer"
        )
    if not (properties.oidc_scope or properties.oidc_role):
        reading.refusal(
            ("auth_mode",),
            "aad_token would take any token of the issuer: write properties.oidc_scope or oidc_role",
        )


def _tls(endpoint: EndpointDefinition, reading: Reading) -> None:
    properties = endpoint.properties
    if (properties.tls_cert is None) != (properties.tls_key is None):
        there, lacking = ("tls_cert", "tls_key") if properties.tls_cert else ("tls_key", "tls_cert")
        reading.problem(("properties", there), f"goes with {lacking}, write both")
    if properties.tls_self_signed and properties.tls_cert:
        reading.problem(("properties", "tls_self_signed"), "goes without tls_cert, write one of the two")
