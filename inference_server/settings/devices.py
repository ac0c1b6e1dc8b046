"""Which CUDA devices there are to hand out, asked without any library of theirs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

VISIBLE = "CUDA_VISIBLE_DEVICES"
_NODE = re.compile(r"nvidia(\d+)")


def visible(environ: Mapping[str, str], folder: str = "/dev") -> tuple[str, ...]:
    """The devices a process of ours would see: those that CUDA_VISIBLE_DEVICES names, else all of the machine."""
    named = environ.get(VISIBLE)
    if named is not None:
        return tuple(
            name.strip() for name in named.split(",") if name.strip() not in ("", "-1", "NoDevFiles")
        )
    try:
        nodes = os.listdir(folder)
    except OSError:
        return ()
    return tuple(sorted((match[1] for node in nodes if (match := _NODE.fullmatch(node))), key=int))


def chosen(devices: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What the workers get as CUDA_VISIBLE_DEVICES, in turn, for a value of `--devices`; (): it stays as it is."""
    if devices == "cpu":
        return ("",)
    if devices == "cuda":
        return visible(environ)
    return tuple(devices.split(",")) if devices else ()
