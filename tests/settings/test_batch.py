"""The settings of batching, and the devices that workers get."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.settings import BadSettings, Settings, load
from inference_server.settings.devices import chosen, visible


def test_batching_is_off_unless_asked_for() -> None:
    settings = Settings()
    assert settings.batch.rows == 1
    assert settings.scoring_config().max_batch_size == 1
    assert settings.devices == ()


def test_what_a_worker_is_told() -> None:
    environ = {
        "AZMLINFSRV_MAX_BATCH_BYTES": "1M",
        "AZMLINFSRV_BATCH_PROOF": "false",
        "AZMLINFSRV_BATCHING": "ROWS",
    }
    config = load({"batch.max_batch_size": 32}, environ).scoring_config()
    assert (config.max_batch_size, config.max_batch_bytes, config.batching) == (32, 1024**2, "rows")
    assert not config.batch_proof
    assert config.batch_reexecution


def test_off_means_off_whatever_the_size() -> None:
    settings = load({"batch.max_batch_size": 32, "batch.batching": "off"}, {})
    assert settings.batch.rows == settings.scoring_config().max_batch_size == 1


@pytest.mark.parametrize(
    ("value", "environ", "devices", "workers"),
    [
        ("0,1", {}, ("0", "1"), 2),
        ("0, 1", {"WORKER_COUNT": "4"}, ("0", "1"), 4),
        ("cuda", {"CUDA_VISIBLE_DEVICES": "2,3,GPU-ab-1"}, ("2", "3", "GPU-ab-1"), 3),
        ("cpu", {"CUDA_VISIBLE_DEVICES": "2,3"}, ("",), 1),
        ("", {"CUDA_VISIBLE_DEVICES": "2,3"}, (), 1),
    ],
)
def test_one_worker_a_device_unless_their_number_is_given(
    value: str, environ: dict[str, str], devices: tuple[str, ...], workers: int
) -> None:
    settings = load({}, {"AZMLINFSRV_DEVICES": value, **environ})
    assert settings.devices == devices
    assert settings.workers.worker_count == workers


def test_devices_that_are_not_there_or_not_named_well_are_said() -> None:
    with pytest.raises(BadSettings, match="sees none"):
        load({}, {"AZMLINFSRV_DEVICES": "cuda", "CUDA_VISIBLE_DEVICES": ""})
    for value in ("0,0", "gpu", "0,,1", "-1"):
        with pytest.raises(BadSettings, match="device numbers"):
            load({}, {"AZMLINFSRV_DEVICES": value})


def test_forked_workers_cannot_be_pinned_apart() -> None:
    environ = {"AZMLINFSRV_DEVICES": "0,1", "WORKER_PRELOAD": "true"}
    assert any("WORKER_PRELOAD" in note for note in load({}, environ).notes)


def test_devices_are_found_by_their_nodes(tmp_path: Path) -> None:
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert visible({}, str(tmp_path)) == ("2", "10")
    assert visible({}, str(tmp_path / "none")) == ()
    assert visible({"CUDA_VISIBLE_DEVICES": "-1"}, str(tmp_path)) == ()
    assert chosen("", {}) == ()
