"""One credential, chosen among those the environment offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inference_server.storage.source import SourceError


@dataclass(frozen=True)
class Credential:
    """Whom a store is asked as. Only `spoken`, `looked_for` and `doubt` may reach a log."""

    spoken: str  # "the SAS in the address", "AWS_ACCESS_KEY_ID"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # for the store of obstore
    looked_for: str = ""  # only when there is none: what was looked for
    doubt: str = ""  # what is wrong with it: "it ended at 2024-05-01 12:00 UTC, make a new one"
    failure: list[SourceError] = field(default_factory=list)  # why our own provider gave no token

    @property
    def anonymous(self) -> bool:
        """Whether the store is asked as nobody."""
        return bool(self.looked_for)


def nobody(looked_for: str) -> Credential:
    """Nothing was found: what is public can still be read."""
    return Credential("no credentials", {"skip_signature": True}, looked_for=looked_for)
