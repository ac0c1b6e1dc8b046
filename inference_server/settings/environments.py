"""The settings of the model's environment: what it is made from, and where it is kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inference_server.settings import read
from inference_server.settings.declare import setting
from inference_server.settings.places import user_cache
from inference_server.settings.read import text


@dataclass(frozen=True)
class EnvironmentSettings:
    """An environment for the script that is made from a file, and kept for the next time."""

    python_environment: str = setting(
        "",
        read.environment,
        "What the script needs: a conda file, a requirements.txt or a pyproject.toml. An environment with just that is "
        "made before the script is loaded, or found from the last time. --python then names the interpreter it is made "
        "of. A virtual environment is taken as it is.",
        flag=True,
        default_text="the environment of `--python`",
    )
    cache_dir: str = setting(
        "",
        text,
        "Folder of the environments that were made; deployments that need the same share one.",
        flag="environment_cache",
        env=("AZMLINFSRV_ENVIRONMENT_CACHE",),
        default_text="`azmlinfsrv/environments` in the user's cache folder",
        is_path=True,
    )

    @property
    def definition(self) -> str:
        """The file that an environment is made from; "": there is none."""
        return self.python_environment if read.is_definition(self.python_environment) else ""


def environments_folder(settings: EnvironmentSettings, environ: Mapping[str, str]) -> str:
    """The folder that is set, or the platform's own place; absolute."""
    if settings.cache_dir:
        return os.path.abspath(os.path.expanduser(settings.cache_dir))
    return user_cache("environments", environ)
