"""Rules for every test: what its markers ask for is there, or it is skipped with the reason."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

from tests.tools import require_module

# How long an example takes says more of the machine's other work than of the test.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """The server reads its settings from the environment: a developer's own must not steer the tests."""
    for name in list(os.environ):
        if name.startswith(("AZUREML_", "AML_", "GUNICORN_", "AZMLINFSRV_")) or name in {
            "WORKER_COUNT",
            "WORKER_TIMEOUT",
            "WORKER_PRELOAD",
            "SCORING_TIMEOUT_MS",
            "SERVER_PORT",
            "HEALTH_PORT",
            "WEB_CONCURRENCY",
        }:
            del os.environ[name]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("torch"):
        require_module("torch")
    if item.get_closest_marker("gpu") and shutil.which("nvidia-smi") is None:
        pytest.skip("needs a CUDA device")
