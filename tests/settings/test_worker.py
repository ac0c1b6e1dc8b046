"""What a worker gets: its configuration and its environment."""

from __future__ import annotations

from pathlib import Path

from inference_server import __version__
from inference_server.settings import Settings, load

VERSION = f"azmlinfsrv/{__version__}"


def test_the_environment_a_script_expects(tmp_path: Path) -> None:
    assert load({}, {"AML_APP_ROOT": str(tmp_path), "MINE": "1"}).worker_environment() == {
        "MINE": "1",
        "AML_APP_ROOT": str(tmp_path),
        "SERVER_PORT": "5001",
        "HEALTH_PORT": "5001",
        "WORKER_COUNT": "1",
        "TRANSPORT_PROTOCOL": "grpc",
        "AML_APP_INSIGHTS_ENABLED": "false",
        "HTTP_X_MS_SERVER_VERSION": VERSION,
    }


def test_flags_are_exported_under_their_variables() -> None:
    flags = {
        "script.entry_script": "/app/score.py",
        "script.model_dir": "rel/model",
        "script.config_file": "/c.json",
        "script.rest": True,
        "listen.port": 80,
        "workers.worker_count": 2,
        "telemetry.app_insights_key": "k",
        "http.cors_origins": "a",
    }
    environment = load(
        flags, {"SERVER_PORT": "1", "HEALTH_PORT": "2", "WORKER_COUNT": "3"}
    ).worker_environment()
    del environment["AML_APP_ROOT"]
    assert environment == {
        "AZUREML_ENTRY_SCRIPT": "/app/score.py",
        "AZUREML_MODEL_DIR": "rel/model",
        "AZUREML_CONFIG_FILE": "/c.json",
        "AML_APP_INSIGHTS_KEY": "k",
        "AML_APP_INSIGHTS_ENABLED": "false",
        "AML_CORS_ORIGINS": "a",
        "TRANSPORT_PROTOCOL": "rest",
        "SERVER_PORT": "80",
        "HEALTH_PORT": "80",
        "WORKER_COUNT": "2",
        "HTTP_X_MS_SERVER_VERSION": VERSION,
    }


def test_what_the_configuration_file_says_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"AZUREML_MODEL_DIR": "m", "AZUREML_ENTRY_SCRIPT": "s.py"}')
    settings = load({}, {"AML_APP_ROOT": str(tmp_path)})
    assert settings.scoring_config().model_dir == "m"
    assert not {"AZUREML_MODEL_DIR", "AZUREML_ENTRY_SCRIPT"} & set(settings.worker_environment())


def test_the_health_port_that_is_shown() -> None:
    separate = {"SEPERATE_HEALTH_ENDPOINT": "true", "HEALTH_PORT": "7"}
    assert load({"listen.port": 80}, {"HEALTH_PORT": "7"}).shown_health_port == "80"
    assert load({}, {"HEALTH_PORT": "7"}).shown_health_port == "7"
    assert load({}, {}).shown_health_port == "5001"
    assert load({}, separate).shown_health_port == "5000"
    assert load({"listen.health_port": 81}, separate).shown_health_port == "81"
    assert load({}, separate).listen.binds == [("0.0.0.0", 5000), ("0.0.0.0", 5001)]
    assert load({}, {"SEPERATE_HEALTH_ENDPOINT": "True"}).listen.binds == [("0.0.0.0", 5001)]


def test_the_version_header() -> None:
    name = "SERVER_VERSION_LOG_RESPONSE_ENABLED"
    own = {"HTTP_X_MS_SERVER_VERSION": "mine"}
    assert load({}, own).server_version == VERSION
    assert load({}, {name: "TRUE"}).server_version == VERSION
    assert load({}, {name: "notgood"}).server_version == ""
    assert load({}, {name: "false", **own}).server_version == "mine"
    assert "HTTP_X_MS_SERVER_VERSION" not in load({}, {name: "false"}).worker_environment()
    assert load({}, {name: "false", **own}).worker_environment()["HTTP_X_MS_SERVER_VERSION"] == "mine"


def test_what_a_worker_is_told(tmp_path: Path) -> None:
    environ = {
        "AML_APP_ROOT": str(tmp_path),
        "AZUREML_ENTRY_SCRIPT": "src/score.py",
        "AZUREML_LOG_LEVEL": "debug",
    }
    config = load({"workers.threads": 2, "develop.show_errors": True}, environ).scoring_config()
    assert config.entry_script == str(tmp_path / "src" / "score.py")
    assert config.app_root == str(tmp_path)
    assert config.log_level == "DEBUG"
    assert config.threads == 2
    assert config.development
    assert config.server_version == VERSION
    assert Settings().scoring_config().entry_script is None


def test_a_change_keeps_the_rest() -> None:
    before = load({"listen.port": 80}, {})
    after = before.changed({"workers.worker_count": 3, "http.keep_alive": 1.0}, source="test")
    assert (after.workers.worker_count, after.http.keep_alive, after.listen.port) == (3, 1.0, 80)
    assert after.given == {"listen.port": "flag", "workers.worker_count": "test", "http.keep_alive": "test"}
    assert before.workers.worker_count == 1
