"""endpoint.yml and deployment.yml, in the fields of Azure ML's managed online endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_SCHEMAS = "https://azuremlschemas.azureedge.net/latest/"
_LEAST_NAME, _MOST_NAME = 3, 32
_PLAIN = re.compile(r"[A-Za-z_./][\w./ -]*")

_ENDPOINT = """\
$schema: {schemas}managedOnlineEndpoint.schema.json
name: {name}
auth_mode: key
"""
_DEPLOYMENT = """\
$schema: {schemas}managedOnlineDeployment.schema.json
name: blue
endpoint_name: {name}
{model}code_configuration:
  code: .
  scoring_script: score.py
environment:
  image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest
  conda_file:
    name: model
    channels: [conda-forge]
    dependencies:
      - python={python}
      - pip
      - pip:
          - azureml-inference-server-http  # what Azure's images start; azmlinfsrv serves the same script
{packages}instance_type: Standard_DS3_v2
instance_count: 1
request_settings:
  request_timeout_ms: 5000
  max_concurrent_requests_per_instance: 1
"""


def endpoint_name(text: str) -> str:
    """A name that Azure ML takes: a letter first, letters, digits and inner dashes, 3 to 32 characters."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lstrip("-0123456789")[:_MOST_NAME].rstrip("-")
    return name.lower() if len(name) >= _LEAST_NAME else f"{name or 'my'}-endpoint".lower()


def endpoint(name: str) -> str:
    """The text of endpoint.yml."""
    return _ENDPOINT.format(schemas=_SCHEMAS, name=name)


def deployment(name: str, model: str, python: str, requirements: Sequence[str]) -> str:
    """The text of deployment.yml; `model` is the model's path from its folder, "" for none."""
    packages = "".join(f"          - {_scalar(line)}\n" for line in requirements)
    path = f"model:\n  path: {_scalar(model)}\n" if model else ""
    return _DEPLOYMENT.format(schemas=_SCHEMAS, name=name, model=path, python=python, packages=packages)


def _scalar(text: str) -> str:
    """A text as YAML: plain where that is safe, else quoted as in JSON."""
    return text if _PLAIN.fullmatch(text) and ": " not in text else json.dumps(text)
