"""Names of endpoints and deployments, and how many of what there may be: Azure's rules."""

from __future__ import annotations

import re

LEAST_NAME, MOST_NAME = 3, 32  # characters
LEAST_BOTH, MOST_BOTH = 6, 62  # of the endpoint's and the deployment's name together, on Kubernetes
MOST_DEPLOYMENTS = 20  # of one endpoint
MOST_INSTANCES = 50  # of one deployment
MOST_MIRRORED = 50  # per cent
MANAGED_TIMEOUT_MS, KUBERNETES_TIMEOUT_MS = 180_000, 300_000
PROMPT_FLOW_TIMEOUT_MS = 300_000
NAME_PATTERN = rf"^(?=.{{{LEAST_NAME},{MOST_NAME}}}$)[A-Za-z](-?[A-Za-z0-9])*$"  # for editors
_NAME = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")


def wrong_with_name(name: str) -> str:
    """What Azure would say against a name of an endpoint or deployment; "": nothing."""
    length = LEAST_NAME <= len(name) <= MOST_NAME
    if length and _NAME.fullmatch(name):
        return ""
    if _NAME.fullmatch(name):
        what = f"got {len(name)} character{'s' * (len(name) != 1)}, write {LEAST_NAME} to {MOST_NAME}"
    else:
        what = f"got {name[: 2 * MOST_NAME]!r}, write a letter first, then letters, digits and single dashes between them"
    return f"{what}, such as {usable_name(name)}"


def usable_name(text: str) -> str:
    """The nearest name that Azure takes.

    >>> usable_name("2_my model")
    'my-model'
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).lstrip("-0123456789")[:MOST_NAME].strip("-")
    return plain if len(plain) >= LEAST_NAME else f"{plain or 'my'}-endpoint"


def wrong_with_variable(name: str) -> str:
    """What is wrong with the name of an environment variable; "": nothing."""
    if _VARIABLE.fullmatch(name):
        return ""
    return "is no name of a variable, write letters, digits and underscores, not beginning with a digit"
