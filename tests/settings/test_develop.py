"""What --debug, --reload and --show_errors imply."""

from __future__ import annotations

from typing import Any

import pytest

from inference_server.scoring.config import FOR_EVER
from inference_server.server import pool_spec
from inference_server.settings import load


@pytest.mark.parametrize(
    ("flags", "shows"),
    [
        ({}, False),
        ({"develop.show_errors": True}, True),
        ({"develop.reload": True}, True),
        ({"develop.debug": True}, True),
        ({"develop.debug_wait": True}, True),
    ],
)
def test_errors_show_the_place_in_development_alone(flags: dict[str, Any], shows: bool) -> None:
    assert load(flags, {}).scoring_config().development is shows


def test_under_a_debugger_no_limit_holds_and_one_worker_runs_one_request_at_a_time() -> None:
    variables = {
        "WORKER_COUNT": "4",
        "WORKER_TIMEOUT": "9",
        "SCORING_TIMEOUT_MS": "5",
        "WORKER_PRELOAD": "true",
        "AZMLINFSRV_MAX_BATCH_SIZE": "8",
        "AZMLINFSRV_REQUEST_TIMEOUT_MS": "7",
        "AZMLINFSRV_MAX_QUEUE_WAIT_MS": "6",
        "AZMLINFSRV_BOOT_TIMEOUT": "3",
        "AZUREML_DEBUG_PORT": "5000",
    }
    settings = load({"develop.debug": True}, variables)
    spec = pool_spec(settings)
    assert (spec.worker_count, spec.worker_timeout, spec.scoring_timeout, spec.boot_timeout) == (1, 0, 0, 0)
    assert (spec.config.max_batch_size, spec.config.scoring_timeout_ms) == (1, 0)
    assert (settings.queue.request_timeout_ms, settings.batch.max_queue_wait_ms) == (0, 0)
    assert spec.attach == ("127.0.0.1", 5678)
    assert not spec.preload
    assert spec.config.debug
    assert spec.config.debug_port is None
    assert any("AZUREML_DEBUG_PORT" in note for note in settings.notes)
    assert any("WORKER_PRELOAD" in note for note in settings.notes)


def test_what_the_flags_ask_for_is_kept_under_a_debugger() -> None:
    flags = {
        "develop.debug_wait": True,
        "develop.debug_listen": 6000,
        "workers.worker_count": 2,
        "batch.max_batch_size": 4,
    }
    spec = pool_spec(load(flags, {}))
    assert (spec.worker_count, spec.config.max_batch_size) == (2, 4)
    assert spec.config.debug_wait == FOR_EVER
    assert spec.attach == ("127.0.0.1", 6000)


def test_a_waiting_debugger_lifts_the_limits_too() -> None:
    spec = pool_spec(load({}, {"AZUREML_DEBUG_PORT": "5000", "WORKER_COUNT": "2"}))
    assert (spec.worker_count, spec.worker_timeout, spec.config.debug_port) == (2, 0, 5000)
    assert spec.attach is None
