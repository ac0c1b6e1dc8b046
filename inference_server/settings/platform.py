"""The settings of the endpoints of this machine: where they are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inference_server.settings.declare import setting
from inference_server.settings.places import user_data
from inference_server.settings.read import text


@dataclass(frozen=True)
class PlatformSettings:
    """Where endpoints, deployments, models and environments of this machine are kept."""

    home: str = setting(
        "",
        text,
        "Folder of the state of all endpoints and of registered models and environments, on a local disk.",
        env=("AZMLINFSRV_HOME",),
        default_text="`azmlinfsrv/platform` in the user's folder for data",
        is_path=True,
    )


def home_folder(settings: PlatformSettings, environ: Mapping[str, str]) -> str:
    """The folder that is set, or the platform's own place; absolute."""
    if settings.home:
        return os.path.abspath(os.path.expanduser(settings.home))
    return user_data("platform", environ)
