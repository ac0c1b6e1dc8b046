"""The lines before the start, which log readers rely on."""

from __future__ import annotations

from inference_server import __version__
from inference_server.cli.start_lines import start_lines
from inference_server.settings import load

KEY = "0123abcd-0123-4567-89AB-0123456789ab"


def test_all_lines_with_nothing_set() -> None:
    settings = load({"script.entry_script": "/app/score.py"}, {"AML_APP_ROOT": "/app"})
    assert start_lines(settings) == [
        "The environment variable 'AZUREML_MODEL_DIR' has not been set.",
        "Use the --model_dir command line argument to set it.",
        "",
        f"Azure ML Inferencing HTTP server v{__version__}",
        "",
        "",
        "Server Settings",
        "---------------",
        "Entry Script Name: /app/score.py",
        "Model Directory: None",
        "Config File: None",
        "Worker Count: 1",
        "Worker Timeout (seconds): None",
        "Server Port: 5001",
        "Health Port: 5001",
        "Application Insights Enabled: false",
        "Application Insights Key: None",
        f"Inferencing HTTP server version: azmlinfsrv/{__version__}",
        "CORS for the specified origins: None",
        "Create dedicated endpoint for health: None",
        "",
        "",
        "Server Routes",
        "---------------",
        "Liveness Probe: GET   127.0.0.1:5001/",
        "Score:          POST  127.0.0.1:5001/score",
        "",
    ]


def test_lines_with_everything_set() -> None:
    flags = {
        "script.model_dir": "models/1",
        "listen.port": 80,
        "workers.worker_count": 2,
        "telemetry.app_insights_key": KEY,
        "http.cors_origins": "a.com, b.com",
        "script.config_file": "/c.json",
    }
    lines = start_lines(load(flags, {"WORKER_TIMEOUT": "9", "SEPERATE_HEALTH_ENDPOINT": "true"}))
    assert lines[0] == "Valid Application Insights instrumentation key provided."
    for line in [
        "Model Directory: models/1",
        "Config File: /c.json",
        "Worker Count: 2",
        "Worker Timeout (seconds): 9",
        "Server Port: 80",
        "Health Port: 5000",
        "Application Insights Enabled: true",
        "Application Insights Key: AppInsights key provided",
        "CORS for the specified origins: Enabling CORS for a.com, b.com",
        "Create dedicated endpoint for health: true",
        "Liveness Probe: GET   127.0.0.1:5000/",
        "Score:          POST  127.0.0.1:80/score",
    ]:
        assert line in lines
    assert KEY not in "".join(lines)


def test_an_invalid_key_is_said_and_turns_telemetry_off() -> None:
    lines = start_lines(load({"telemetry.app_insights_key": "nonsense"}, {"AZUREML_MODEL_DIR": "m"}))
    assert lines[:2] == [
        "Invalid Application Insights instrumentation key provided.",
        "Application Insights has been disabled.",
    ]
    assert "Application Insights Enabled: false" in lines
