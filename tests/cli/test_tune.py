"""`azmlinfsrv tune`: its words, and the file it writes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from inference_server.cli import main, tuned_file
from inference_server.cli.tune_options import read_words
from inference_server.settings import load
from inference_server.tuning.facts import Configuration


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a script and a request."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return 1\n")
    (tmp_path / "one.json").write_text("1")
    return tmp_path


def test_flags_of_the_server_are_taken_along(here: Path) -> None:
    words = "--entry_script score.py -r one.json two.json --model-dir model -r three --no-metrics --max_batch_size 8"
    options, flags = read_words(words.split())
    assert options.request == ["one.json", "two.json", "three"]
    assert (options.max_batch_size, options.latency_ms, options.seconds) == (8, 0, 2)
    assert flags == {
        "script.entry_script": str(here / "score.py"),
        "script.model_dir": "model",
        "telemetry.metrics": False,
    }
    assert tuned_file.words(flags) == ["--entry_script", "score.py", "--model_dir", "model", "--no_metrics"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--entry_script score.py", "the following arguments are required: -r/--request"),
        ("--entry_script score.py -r one.json --port 80", "--port is not for you to give here"),
        ("--entry_script score.py -r one.json --worker_count 2", "--max_workers bounds it"),
        ("--entry_script score.py -r one.json --nonsense 2", "unrecognized argument: --nonsense"),
        ("--entry_script score.py -r one.json --latency_ms x", "expects a number of 0 or more, got 'x'"),
        ("--entry_script score.py -r one.json --memory 2X", "expects a size in bytes"),
        ("--entry_script score.py -r one.json --seconds 0", "--seconds expects a number above 0"),
        ("--entry_script score.py -r two.json", "two.json cannot be read: No such file"),
        ("--entry_script other.py -r one.json", "no script at "),
        ("--entry_script score.py -r one.json --output no/where.json", "cannot be written to"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_started(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert main(["tune", *words.split()]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_setting_that_cannot_be_read_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORING_TIMEOUT_MS", "soon")
    assert main(["tune", "--entry_script", "score.py", "-r", "one.json"]) == 1
    assert "SCORING_TIMEOUT_MS: expects a whole number" in capsys.readouterr().err


def test_the_file_is_what_the_server_takes(here: Path) -> None:
    names = tuned_file.write("settings.json", None, Configuration(workers=3, batch=16))
    assert names == ["WORKER_COUNT", "AZMLINFSRV_MAX_BATCH_SIZE"]
    settings = load({"script.config_file": str(here / "settings.json")}, {})
    assert (settings.workers.worker_count, settings.batch.max_batch_size) == (3, 16)
    assert os.listdir(here).count("settings.json.partial") == 0


def test_other_settings_of_a_configuration_file_are_kept(here: Path) -> None:
    Path("base.json").write_text('{"SCORING_TIMEOUT_MS": 5000, "WORKER_COUNT": 7, "x": [1]}')
    tuned_file.check("settings.json", "base.json")
    tuned_file.write("settings.json", "base.json", Configuration(2, 4))
    assert json.loads(Path("settings.json").read_text()) == {
        "SCORING_TIMEOUT_MS": 5000,
        "WORKER_COUNT": 2,
        "x": [1],
        "AZMLINFSRV_MAX_BATCH_SIZE": 4,
    }
    tuned_file.check("settings.json", "base.json")  # an earlier result is replaced
    tuned_file.check("base.json", "base.json")


@pytest.mark.parametrize("content", ['{"SCORING_TIMEOUT_MS": 5000}', "[]", "no JSON"])
def test_a_file_with_anything_else_is_not_overwritten(here: Path, content: str) -> None:
    Path("settings.json").write_text(content)
    with pytest.raises(tuned_file.Unusable, match=r"settings\.json"):
        tuned_file.check("settings.json", None)
    assert main(["tune", "--entry_script", "score.py", "-r", "one.json"]) == 1
    assert Path("settings.json").read_text() == content
