"""What a deployment runs in: an image, packages on top, or a server of its own that is reached by its routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_server.definitions.declare import declared
from inference_server.definitions.groups import Group
from inference_server.definitions.kinds import Choice, FileOrInline, LocalPath, MapOf, Text, Whole


def _wrong_with_route(path: str) -> str:
    return "" if path.startswith("/") else f"got {path!r}, write /{path}"


@dataclass(frozen=True)
class Route:
    """One route of a container."""

    path: str = declared(
        "", Text(check=_wrong_with_route, pattern="^/"), "The path, from `/` on.", required=True
    )
    port: int = declared(0, Whole(1, 65535), "The port that the container listens on.", required=True)


_ROUTE = Group(Route)


@dataclass(frozen=True)
class InferenceConfig:
    """The routes of a container that is a server of its own."""

    liveness_route: Route | None = declared(None, _ROUTE, "Asked whether the container lives.")
    readiness_route: Route | None = declared(None, _ROUTE, "Asked whether the container may get requests.")
    scoring_route: Route | None = declared(None, _ROUTE, "Where requests go.", required=True)


@dataclass(frozen=True)
class Build:
    """An image that is built first."""

    path: Path | None = declared(None, LocalPath("folder"), "The folder that is built.", required=True)
    dockerfile_path: str = declared("Dockerfile", Text(), "The Dockerfile, from that folder.")


@dataclass(frozen=True)
class InlineEnvironment:
    """An environment described in the deployment's file."""

    schema: str = declared("", Text(free=True), "For editors only.", key="$schema")
    name: str = declared("", Text(), "Its name, where environments are registered.", default_text="anonymous")
    version: str = declared("", Text(), "See the name.")
    image: str = declared(
        "",
        Text(),
        "The base image, or, with `inference_config`, the whole of it.",
        used="An image is run by podman or docker where there is `inference_config`; else the server here runs the script.",
    )
    conda_file: Path | Mapping[str, Any] | None = declared(
        None, FileOrInline(LocalPath("file")), "Packages that the script needs, as a conda file has them."
    )
    build: Build | None = declared(
        None,
        Group(Build),
        "A folder with a Dockerfile, in place of an image.",
        refused="images are not built here on the way: build it first, then name it as environment.image",
    )
    inference_config: InferenceConfig | None = declared(
        None, Group(InferenceConfig), "Says that the image is a server of its own, and where it listens."
    )
    os_type: str = declared("linux", Choice(("linux", "windows")), "What the image is made for.")
    description: str = declared("", Text(free=True), "Your own words, for a registry.")
    tags: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own labels, for a registry.")
    properties: Mapping[str, str] = declared(dict, MapOf(Text(free=True)), "Your own keys, for a registry.")


ENVIRONMENT = Group(InlineEnvironment)
