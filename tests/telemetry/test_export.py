from __future__ import annotations

from pathlib import Path

import pytest

from tests.telemetry.ingestion import require_extra


@pytest.fixture(autouse=True)
def _extra() -> None:
    require_extra()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "00:00:00.000"),
        (0.0004, "00:00:00.000"),
        (0.9996, "00:00:01.000"),
        (3723.042, "01:02:03.042"),
        (90061.5, "1.01:01:01.500"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    from inference_server.telemetry.export import duration

    assert duration(seconds) == text


def test_models_of_a_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from inference_server.telemetry.export import models_in

    for name in ("b/2", "b/10", "a/1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "README").write_text("no model")
    assert models_in(str(tmp_path)) == ["a:1", "b:10", "b:2"]
    assert models_in(str(tmp_path / "b" / "2")) == ["b:2"]
    assert not caplog.records
    assert models_in(str(tmp_path / "gone")) == []
    assert models_in("") == []
    assert "Model directory is not set or does not exist: " in caplog.text
