"""What is printed before the server starts: the lines people and scripts look for in a log."""

from __future__ import annotations

from inference_server import __version__
from inference_server.settings import Settings

_MODEL_DIR_UNSET = (
    "The environment variable 'AZUREML_MODEL_DIR' has not been set.",
    "Use the --model_dir command line argument to set it.",
)


def start_lines(settings: Settings) -> list[str]:
    """The lines, in their order: notices, the version, all settings by their labels, the routes."""
    environment = settings.worker_environment()
    lines = [] if "AZUREML_MODEL_DIR" in environment else list(_MODEL_DIR_UNSET)
    lines += settings.key_lines
    lines += ["", f"Azure ML Inferencing HTTP server v{__version__}", ""]
    lines += _titled(
        "Server Settings", [f"{label}: {value}" for label, value in _labels(settings, environment)]
    )
    lines += _titled("Server Routes", _routes(settings))
    return lines


def _titled(title: str, lines: list[str]) -> list[str]:
    return ["", title, "-" * 15, *lines, ""]


def _labels(settings: Settings, environment: dict[str, str]) -> list[tuple[str, str | None]]:
    key = environment.get("AML_APP_INSIGHTS_KEY")
    origins = settings.http.cors_origins
    timeout_given = "workers.worker_timeout" in settings.given
    return [
        ("Entry Script Name", settings.script.path),
        ("Model Directory", settings.script.model_dir or None),
        ("Config File", settings.script.config_file),
        ("Worker Count", str(settings.workers.worker_count)),
        ("Worker Timeout (seconds)", str(settings.workers.worker_timeout) if timeout_given else None),
        ("Server Port", str(settings.listen.port)),
        ("Health Port", settings.shown_health_port),
        ("Application Insights Enabled", environment["AML_APP_INSIGHTS_ENABLED"]),
        ("Application Insights Key", "AppInsights key provided" if key else None),
        ("Inferencing HTTP server version", settings.server_version or None),
        ("CORS for the specified origins", f"Enabling CORS for {origins}" if origins else None),
        ("Create dedicated endpoint for health", environment.get("SEPERATE_HEALTH_ENDPOINT")),
    ]


def _routes(settings: Settings) -> list[str]:
    return [
        f"Liveness Probe: GET   127.0.0.1:{settings.shown_health_port}/",
        f"Score:          POST  127.0.0.1:{settings.listen.port}/score",
    ]
