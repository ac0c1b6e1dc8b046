"""JSON schemas of the two files, for editors: made from the declarations."""

from __future__ import annotations

import json
from pathlib import Path

from inference_server.definitions.deployment import DEPLOYMENT
from inference_server.definitions.endpoint import ENDPOINT
from inference_server.definitions.groups import Group
from inference_server.definitions.kinds import JSON

FOLDER = Path(__file__).parent / "schema"
_DRAFT = "http://json-schema.org/draft-07/schema#"  # what editors know best


def schemas() -> dict[str, str]:
    """The text of each schema, by the name of its file."""
    return {
        "endpoint.schema.json": _text(ENDPOINT, "An online endpoint", ["name"]),
        # a name and an endpoint may come by flag, so neither is asked for
        "deployment.schema.json": _text(DEPLOYMENT, "A deployment of an online endpoint", []),
    }


def _text(group: Group, title: str, required: list[str]) -> str:
    made: JSON = {"$schema": _DRAFT, "title": title, **group.schema()}
    made.pop("required", None)
    if required:
        made["required"] = required
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"
