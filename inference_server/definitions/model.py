"""The model of a deployment, the script's folder, and what both may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_server.definitions.declare import declared
from inference_server.definitions.groups import Group
from inference_server.definitions.kinds import Choice, LocalPath, MapOf, Text

CUSTOM, MLFLOW, TRITON = "custom_model", "mlflow_model", "triton_model"
NO_CODE = (MLFLOW, TRITON)


@dataclass(frozen=True)
class InlineModel:
    """A model described in the deployment's file."""

    schema: str = declared("", Text(free=True), "For editors only.", key="$schema")
    path: Path | str = declared(
        "",
        LocalPath(remote=True),
        "The model: a file or folder, or the address that it is fetched from.",
        required=True,
    )
    name: str = declared(
        "",
        Text(),
        "Decides, with the version, the folder in which the script finds the model.",
        default_text="made from the path",
    )
    version: str = declared("", Text(), "See the name.", default_text="`1`")
    type: str = declared(
        CUSTOM,
        Choice((CUSTOM, *NO_CODE)),
        "What the model is. The last two, and a file in the ONNX format, are served without a script.",
    )
    properties: Mapping[str, str] = declared(
        dict,
        MapOf(Text(free=True)),
        "Keys of tools; those of prompt flow lift the limit of the request timeout.",
    )
    description: str = declared("", Text(free=True), "Your own words, for a registry.")
    tags: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own labels, for a registry.")
    stage: str = declared("", Text(free=True), "How far the model has come, for a registry.")
    flavors: Mapping[str, Any] | None = declared(
        None,
        MapOf(MapOf(Text(free=True))),
        "Flavors of an MLflow model.",
        ignored="they are read from the model's own MLmodel file",
    )

    @property
    def needs_script(self) -> bool:
        """Whether the model is served by a script alone."""
        return self.type == CUSTOM and not str(self.path).lower().endswith(".onnx")


@dataclass(frozen=True)
class CodeConfiguration:
    """The scoring script and its folder."""

    code: Path | None = declared(
        None,
        LocalPath("folder"),
        "The folder of the script and of what it imports; all of it is taken.",
        required=True,
    )
    scoring_script: str = declared("", Text(), "The script, from that folder.", required=True)


MODEL = Group(InlineModel)
CODE = Group(CodeConfiguration)
