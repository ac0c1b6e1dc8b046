"""What an endpoint may say beyond Azure's fields: keys of its `properties`, which Azure keeps as labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inference_server.definitions.declare import declared
from inference_server.definitions.groups import Group
from inference_server.definitions.kinds import Choice, LocalPath, Switch, Text, Whole
from inference_server.definitions.names import MOST_MIRRORED

ENFORCE_ACCESS = "enforce_access_to_default_secret_stores"


def _wrong_with_issuer(address: str) -> str:
    if address.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        return ""
    return f"got {address[:80]!r}, write an address that begins with https://"


@dataclass(frozen=True)
class EndpointProperties:
    """Properties with a meaning here. Any others are kept and shown."""

    host: str = declared(
        "", Text(), "Address to listen on.", default_text="`127.0.0.1`; with TLS, all of the machine's"
    )
    port: int | None = declared(
        None,
        Whole(1, 65535),
        "Port to listen on.",
        default_text="a free one, kept for the life of the endpoint",
    )
    tls_cert: Path | None = declared(
        None, LocalPath("file"), "Certificate chain (PEM): the endpoint speaks HTTPS."
    )
    tls_key: Path | None = declared(None, LocalPath("file"), "Private key of the certificate (PEM).")
    tls_self_signed: bool = declared(False, Switch(), "HTTPS with a certificate that is made here.")
    token_life: int = declared(
        12 * 3600, Whole(60), "How long a token of `aml_token` is good for.", unit="seconds"
    )
    token_refresh_after: int | None = declared(
        None,
        Whole(1),
        "After how long a new token should be fetched.",
        unit="seconds",
        default_text="two thirds of its life",
    )
    oidc_issuer: str = declared(
        "",
        Text(check=_wrong_with_issuer, pattern="^https?://"),
        "Whose tokens `aad_token` takes; its keys are found by its discovery document.",
    )
    oidc_audience: str = declared("https://ml.azure.com", Text(), "Whom those tokens must be made out to.")
    oidc_jwks_uri: str = declared(
        "",
        Text(check=_wrong_with_issuer, pattern="^https?://"),
        "The issuer's keys.",
        default_text="what the discovery document says",
    )
    oidc_scope: str = declared("", Text(), "A scope that lets a token in; without it, the role must.")
    oidc_role: str = declared("", Text(), "A role that lets a token in. One of the two is needed.")
    requests_per_second: int | None = declared(
        None, Whole(1), "More requests than that get 429.", default_text="no limit (Azure's is 500)"
    )
    requests_per_second_per_caller: int | None = declared(
        None, Whole(1), "The same for each key or token.", default_text="no limit"
    )
    mirror_traffic_limit: int = declared(
        MOST_MIRRORED,
        Whole(1, 100),
        "The most that `mirror_traffic` may be; 50 is Azure's rule.",
        unit="per cent",
    )
    enforce_access_to_default_secret_stores: str = declared(
        "disabled",
        Choice(("enabled", "disabled")),
        "Azure's: the endpoint's identity is let to read connections.",
        ignored="secrets are read with the credentials of this machine",
    )
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def refresh_after(self) -> int:
        """Seconds after which a new token should be fetched."""
        return self.token_life * 2 // 3 if self.token_refresh_after is None else self.token_refresh_after


PROPERTIES = Group(EndpointProperties, others=Text(free=True))
