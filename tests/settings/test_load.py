"""Where a value comes from: flag, then variable, then configuration file, then default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference_server.settings import BadSettings, Settings, load

KEY = "0123abcd-0123-4567-89AB-0123456789ab"


def loaded(root: Path, flags: dict[str, Any] | None = None, file: Any = None, **variables: str) -> Settings:
    """Settings with `root` as app root, and a config.json there when `file` is given."""
    if file is not None:
        (root / "config.json").write_text(file if isinstance(file, str) else json.dumps(file))
    return load(flags, {"AML_APP_ROOT": str(root), **variables})


def test_flag_before_variable_before_file_before_default(tmp_path: Path) -> None:
    name = "AML_CORS_ORIGINS"
    assert loaded(tmp_path).http.cors_origins == ""
    assert loaded(tmp_path, file={name: "file"}).http.cors_origins == "file"
    assert loaded(tmp_path, file={name: "file"}, **{name: "variable"}).http.cors_origins == "variable"
    settings = loaded(tmp_path, {"http.cors_origins": "flag"}, {name: "file"}, **{name: "variable"})
    assert settings.http.cors_origins == "flag"
    assert settings.given["http.cors_origins"] == "flag"


@pytest.mark.parametrize(
    ("name", "value", "section", "field", "expected"),
    [
        ("AZUREML_ENTRY_SCRIPT", "s.py", "script", "entry_script", "s.py"),
        ("AZUREML_SOURCE_DIRECTORY", "src", "script", "source_dir", "src"),
        ("SERVICE_NAME", "mine", "service", "service_name", "mine"),
        ("WORKSPACE_NAME", "w", "service", "workspace_name", "w"),
        ("SERVICE_PATH_PREFIX", "/a/", "service", "service_path_prefix", "/a/"),
        ("SERVICE_VERSION", "2", "service", "service_version", "2"),
        ("SCORING_TIMEOUT_MS", "500", "script", "scoring_timeout_ms", 500),
        ("AZUREML_LOG_LEVEL", "DEBUG", "telemetry", "log_level", "DEBUG"),
        ("APP_INSIGHTS_LOG_RESPONSE_ENABLED", "no", "telemetry", "app_insights_log_response", False),
        ("AZUREML_MODEL_DIR", "m", "script", "model_dir", "m"),
        ("HOSTNAME", "h", "service", "hostname", "h"),
        ("AZUREML_DEBUG_PORT", "5678", "script", "debug_port", 5678),
        ("AML_CORS_ORIGINS", "a,b", "http", "cors_origins", "a,b"),
        ("AML_APP_INSIGHTS_KEY", "k", "telemetry", "app_insights_key", "k"),
        ("AML_MDC_STORAGE_ENABLED", "True", "telemetry", "mdc_storage_enabled", True),
        ("AML_MODEL_DC_STORAGE_ENABLED", "on", "telemetry", "mdc_storage_enabled", True),
        ("WORKER_COUNT", "4", "workers", "worker_count", 4),
        ("WORKER_PRELOAD", "TRUE", "workers", "preload", True),
        ("AZMLINFSRV_MAX_BODY_BYTES", "2GiB", "http", "max_body_bytes", 2 * 1024**3),
    ],
)
@pytest.mark.parametrize("source", ["variable", "lower case", "file"])
def test_a_name_works_as_variable_and_in_the_file(
    tmp_path: Path, source: str, name: str, value: str, section: str, field: str, expected: object
) -> None:
    if source == "file":
        settings = loaded(tmp_path, file={name: value})
    else:
        settings = loaded(tmp_path, **{name if source == "variable" else name.lower(): value})
    assert getattr(getattr(settings, section), field) == expected


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("AML_SERVICE_NAME", "x", "service.service_name"),
        ("AML_SCORING_TIMEOUT", "7", "script.scoring_timeout_ms"),
        ("AML_LOG_LEVEL", "ERROR", "telemetry.log_level"),
        ("AML_SERVICE_VERSION", "3", "service.service_version"),
        ("aml_source_dir", "d", "script.source_dir"),
    ],
)
def test_every_field_has_an_alternate_name(tmp_path: Path, name: str, value: str, key: str) -> None:
    settings = loaded(tmp_path, **{name: value})
    section, field = key.split(".")
    assert str(getattr(getattr(settings, section), field)) == value
    assert settings.given[key] == "environment variable"


def test_json_values_need_no_quotes(tmp_path: Path) -> None:
    values = {"SCORING_TIMEOUT_MS": 5, "AML_APP_INSIGHTS_ENABLED": True, "AML_APP_INSIGHTS_KEY": KEY}
    settings = loaded(tmp_path, file={**values, "SERVICE_NAME": None, "unknown": [1]})
    assert settings.script.scoring_timeout_ms == 5
    assert settings.telemetry.app_insights_enabled
    assert settings.service.service_name == "ML service"


def test_the_first_file_that_holds_something_is_the_only_one_read(tmp_path: Path) -> None:
    script = tmp_path / "src" / "score.py"
    script.parent.mkdir()
    beside, root, named = script.parent / "config.json", tmp_path / "config.json", tmp_path / "named.json"
    beside.write_text('{"SERVICE_NAME": "beside", "SERVICE_VERSION": "9"}')
    flags = {"script.entry_script": str(script)}
    assert loaded(tmp_path, flags).service.service_name == "beside"
    root.write_text("")
    assert loaded(tmp_path, flags).service.service_name == "beside"
    root.write_text('{"SERVICE_NAME": "root"}')
    assert loaded(tmp_path, flags).service.service_name == "root"
    named.write_text('{"SERVICE_NAME": "named"}')
    settings = loaded(tmp_path, {**flags, "script.config_file": str(named)})
    assert settings.service == load({}, {"SERVICE_NAME": "named"}).service
    assert settings.config_path == str(named)


def test_a_missing_config_file_is_only_a_note(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {"script.config_file": str(tmp_path / "no.json")})
    assert "no.json does not exist" in settings.notes[0]


@pytest.mark.parametrize(("file", "said"), [("{", "line 1"), ("[1]", "expects a JSON object")])
def test_a_file_that_is_no_json_object(tmp_path: Path, file: str, said: str) -> None:
    with pytest.raises(BadSettings, match=r"^Invalid config file!: .*config\.json: .*" + said) as caught:
        loaded(tmp_path, file=file)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("variables", "exit_code"),
    [
        ({"SCORING_TIMEOUT_MS": "abc"}, 3),
        ({"AML_MDC_STORAGE_ENABLED": "maybe"}, 3),
        ({"WORKER_COUNT": "abc"}, 1),
        ({"WORKER_COUNT": "0"}, 1),
        ({"WORKER_TIMEOUT": "abc"}, 2),
        ({"AZMLINFSRV_CHANNEL": "pigeon"}, 3),
    ],
)
def test_a_bad_value_names_its_variable(tmp_path: Path, variables: dict[str, str], exit_code: int) -> None:
    ((name, value),) = variables.items()
    with pytest.raises(BadSettings) as caught:
        loaded(tmp_path, **variables)
    assert caught.value.exit_code == exit_code
    (block,) = caught.value.report
    assert block.startswith("\n===============Configuration Error=================\n")
    line = block.splitlines()[2]
    assert line.startswith(f"{name}: expects ")
    assert repr(value) in line
    assert line.endswith(f"(environment variable: {name})")


def test_all_bad_values_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        loaded(tmp_path, file={"SCORING_TIMEOUT_MS": "x"}, AZUREML_DEBUG_PORT="y", WORKER_TIMEOUT="z")
    assert len(caught.value.report) == 3
    assert caught.value.exit_code == 2
    assert f"(config file: {tmp_path / 'config.json'}, key: SCORING_TIMEOUT_MS)" in str(caught.value)


def test_app_root_from_the_file_is_honoured_after_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text('{"AML_APP_ROOT": "inner"}')
    assert load({}, {}).script.app_root == str(tmp_path / "inner")
    assert load({}, {"AML_APP_ROOT": "other"}).script.app_root == str(tmp_path / "other")


@pytest.mark.parametrize(
    ("enabled", "key", "on"),
    [
        ("true", KEY, True),
        ("True", KEY, False),
        ("true", "bad", False),
        ("true", "", False),
        ("", KEY, False),
    ],
)
def test_app_insights_needs_a_lower_case_true_and_a_valid_key(
    tmp_path: Path, enabled: str, key: str, on: bool
) -> None:
    settings = loaded(tmp_path, AML_APP_INSIGHTS_ENABLED=enabled, AML_APP_INSIGHTS_KEY=key)
    assert settings.telemetry.app_insights_enabled is on
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("word", "level"), [("debug", "DEBUG"), ("Warn", "WARNING"), ("15", "15"), ("chatty", "INFO")]
)
def test_log_levels(tmp_path: Path, word: str, level: str) -> None:
    settings = loaded(tmp_path, AZUREML_LOG_LEVEL=word)
    assert settings.telemetry.level == level
    assert bool(settings.notes) == (word == "chatty")


def test_logging_json_in_the_app_root_or_beside_the_script(tmp_path: Path) -> None:
    flags = {"script.entry_script": str(tmp_path / "src" / "score.py")}
    (tmp_path / "src").mkdir()
    assert loaded(tmp_path, flags).logging_config is None
    (tmp_path / "src" / "logging.json").touch()
    assert loaded(tmp_path, flags).logging_config == str(tmp_path / "src" / "logging.json")
    (tmp_path / "logging.json").touch()
    assert loaded(tmp_path, flags).logging_config == str(tmp_path / "logging.json")
