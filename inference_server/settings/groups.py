"""Every setting, declared once, in groups of those that are used together.

All groups are frozen. Where a default of the server we replace is kept, its variable keeps its name too;
settings of our own are called AZMLINFSRV_<NAME>.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from inference_server.settings import read
from inference_server.settings.declare import setting
from inference_server.settings.read import only_true, size, switch, text, whole

WINDOWS = sys.platform == "win32"
PORT = whole(1, 65535)
KIB, MIB, GIB = 1024, 1024**2, 1024**3
LOG_LEVELS = {
    "CRITICAL": "CRITICAL",
    "FATAL": "CRITICAL",
    "ERROR": "ERROR",
    "WARNING": "WARNING",
    "WARN": "WARNING",
    "INFO": "INFO",
    "DEBUG": "DEBUG",
    "NOTSET": "NOTSET",
}


@dataclass(frozen=True)
class ScriptSettings:
    """The script, where it finds things, and how it is called."""

    entry_script: str | None = setting(
        None,
        text,
        "The scoring script. A relative path is taken from the app root.",
        flag=True,
        env=("AZUREML_ENTRY_SCRIPT", "AML_ENTRY_SCRIPT"),
        default_text="`main.py` in the app root",
        is_path=True,
        incumbent=True,
    )
    model_dir: str = setting(
        "",
        text,
        "The folder of the model; the script finds it in the variable AZUREML_MODEL_DIR.",
        flag=True,
        env=("AZUREML_MODEL_DIR", "AML_AZUREML_MODEL_DIR"),
        incumbent=True,
    )
    config_file: str | None = setting(
        None,
        text,
        "A JSON file of settings, by the names of their variables.",
        flag=True,
        env=("AZUREML_CONFIG_FILE",),
        default_text="`config.json` in the app root, else beside the script",
        is_path=True,
        incumbent=True,
    )
    app_root: str = setting(
        ".",
        text,
        "The folder relative paths start from, searched for config.json, logging.json and swagger files; "
        "on the script's import path.",
        env=("AML_APP_ROOT",),
        default_text="the current folder",
    )
    source_dir: str | None = setting(
        None,
        text,
        "One more folder on the script's import path; a relative one is taken from the app root.",
        env=("AZUREML_SOURCE_DIRECTORY", "AML_SOURCE_DIR"),
    )
    scoring_timeout_ms: int = setting(
        3600000,
        whole(),
        "How long one run() may take, from its start; 0: no limit.",
        unit="milliseconds",
        env=("SCORING_TIMEOUT_MS", "AML_SCORING_TIMEOUT"),
    )
    debug_port: int | None = setting(
        None,
        PORT,
        "Connect each worker to a debugger (debugpy) that listens on this port, and wait for it.",
        env=("AZUREML_DEBUG_PORT", "AML_DEBUG_PORT"),
    )
    rest: bool = setting(
        False,
        switch,
        "Only sets the variable TRANSPORT_PROTOCOL to rest instead of grpc.",
        flag=True,
        hidden=True,
        incumbent=True,
    )

    @property
    def path(self) -> str | None:
        """The absolute path of the script; None when there is none and `main` is imported."""
        return os.path.abspath(os.path.join(self.app_root, self.entry_script)) if self.entry_script else None


@dataclass(frozen=True)
class ServiceSettings:
    """What the service says of itself."""

    service_name: str = setting(
        "ML service",
        text,
        "Title in the API description, and in telemetry.",
        env=("SERVICE_NAME", "AML_SERVICE_NAME"),
    )
    service_version: str = setting(
        "1.0", text, "Version in the API description.", env=("SERVICE_VERSION", "AML_SERVICE_VERSION")
    )
    service_path_prefix: str = setting(
        "",
        text,
        "Put before the paths in the API description; the routes themselves do not move.",
        env=("SERVICE_PATH_PREFIX", "AML_SERVICE_PATH_PREFIX"),
    )
    workspace_name: str = setting(
        "", text, "Workspace name in telemetry.", env=("WORKSPACE_NAME", "AML_WORKSPACE_NAME")
    )
    hostname: str = setting("Unknown", text, "Container id in telemetry.", env=("HOSTNAME", "AML_HOSTNAME"))


@dataclass(frozen=True)
class ListenSettings:
    """Where the server listens, and with which certificate."""

    host: str = setting("0.0.0.0", text, "The address to listen on.", flag=True)
    port: int = setting(5001, PORT, "The port of the server.", flag=True, incumbent=True)
    health_port: int = setting(
        5000,
        PORT,
        "The port for health alone; used when SEPERATE_HEALTH_ENDPOINT is true.",
        flag=True,
        incumbent=True,
    )
    separate_health: bool = setting(
        False,
        read.exactly_true,
        "`true`: health has a port of its own.",
        env=("SEPERATE_HEALTH_ENDPOINT",),
    )
    backlog: int = setting(2048, whole(1), "Connections the system holds that were not accepted yet.")
    certfile: str = setting("", text, "Certificate chain for HTTPS (PEM); empty: plain HTTP.", flag=True)
    keyfile: str = setting("", text, "Private key of the certificate (PEM).", flag=True)
    ca_certs: str = setting("", text, "Certificates (PEM) that client certificates are checked with.")
    cert_reqs: int = setting(0, whole(0, 2), "Client certificates: 0 not asked for, 1 optional, 2 required.")
    ciphers: str = setting("", text, "Allowed TLS 1.2 ciphers, in OpenSSL's notation; empty: the library's.")

    @property
    def binds(self) -> list[tuple[str, int]]:
        """The addresses to bind, in the order of the sockets the front is given: health first when separate."""
        ports = [self.health_port, self.port] if self.separate_health else [self.port]
        return [(self.host, port) for port in ports]


@dataclass(frozen=True)
class WorkerSettings:
    """The processes that own the script."""

    worker_count: int = setting(
        1,
        whole(1),
        "Number of workers; each loads the model.",
        flag=True,
        env=("WORKER_COUNT",),
        exit_code=1,
        incumbent=True,
    )
    worker_timeout: int = setting(
        300,
        whole(),
        "A worker busy with one call for longer than this is killed and replaced; 0: never.",
        unit="seconds",
        env=("WORKER_TIMEOUT",),
        exit_code=2,
    )
    preload: bool = setting(
        False,
        only_true,
        "`true`: the script is loaded once and the workers are forked from that.",
        env=("WORKER_PRELOAD",),
    )
    python: str = setting(
        sys.executable,
        read.python,
        "The interpreter the script runs on: a path, or the folder of a virtual environment.",
        flag=True,
        default_text="the server's own",
    )
    threads: int = setting(
        1, whole(1), "run() calls at a time in one worker. More than 1 needs a thread-safe script.", flag=True
    )
    max_requests: int = setting(
        0, whole(), "Replace a worker after this many requests, losing none; 0: never.", flag=True
    )
    max_requests_jitter: int = setting(
        0,
        whole(),
        "Up to this many more, chosen at random, so that workers are not replaced together.",
        flag=True,
    )
    max_worker_rss: int = setting(
        0,
        size,
        "Replace a worker whose memory passed this, after the request it has; 0: never.",
        unit="bytes",
        flag=True,
    )
    stall_grace_ms: int = setting(
        2000,
        whole(),
        "How long a worker may go on after its scoring timeout before it is killed.",
        unit="milliseconds",
        flag=True,
    )
    boot_timeout: float = setting(
        0.0, read.number, "How long loading and init() may take; 0: no limit.", unit="seconds", flag=True
    )
    channel: str = setting(
        "tcp" if WINDOWS else "socketpair",
        read.one_of("socketpair", "tcp"),
        "How the front talks to the workers: socketpair, or tcp on the loopback.",
        flag=True,
        default_text="`socketpair`; `tcp` on Windows",
    )


@dataclass(frozen=True)
class QueueSettings:
    """Requests that wait for a worker."""

    max_queue_size: int = setting(10000, whole(), "Requests that may wait; 0: no limit.", flag=True)
    max_queue_bytes: int = setting(
        GIB,
        size,
        "Bytes of bodies that may wait; 0: no limit.",
        unit="bytes",
        flag=True,
        default_text="1 GiB",
    )
    request_timeout_ms: int = setting(
        0,
        whole(),
        "How long a request may wait and run, from its arrival; 0: no limit. A request can set its own with the "
        "header x-ms-request-timeout-ms.",
        unit="milliseconds",
        flag=True,
    )


@dataclass(frozen=True)
class HttpSettings:
    """What a client may send, how slowly, and what every answer carries."""

    limit_request_line: int = setting(
        4094, whole(), "Longest request line; 0: no limit.", unit="bytes", flag=True
    )
    limit_request_fields: int = setting(100, whole(), "Most header lines.", flag=True)
    limit_request_field_size: int = setting(
        8190, whole(), "Longest header line; 0: no limit.", unit="bytes", flag=True
    )
    max_header_bytes: int = setting(
        64 * KIB, size, "Request line and headers together.", unit="bytes", flag=True, default_text="64 KiB"
    )
    max_body_bytes: int = setting(
        512 * MIB,
        size,
        "Largest body, as sent and after inflating; 0: no limit.",
        unit="bytes",
        flag=True,
        default_text="512 MiB",
    )
    max_chunks: int = setting(100000, whole(), "Most chunks in a body; 0: no limit.", flag=True)
    max_chunk_extension_bytes: int = setting(
        1024, size, "Chunk extensions of a body, all together.", unit="bytes", flag=True
    )
    max_trailer_bytes: int = setting(
        8190, size, "Trailer lines after a chunked body, all together.", unit="bytes", flag=True
    )
    header_timeout: float = setting(
        20.0,
        read.number,
        "From the first byte of a request to the end of its headers.",
        unit="seconds",
        flag=True,
    )
    body_timeout: float = setting(
        60.0,
        read.number,
        "How long a body may make no progress. One that brings less than 240 bytes a second has no longer in all.",
        unit="seconds",
        flag=True,
    )
    keep_alive: float = setting(
        75.0, read.number, "How long an idle connection stays open.", unit="seconds", flag=True
    )
    write_timeout: float = setting(
        60.0,
        read.number,
        "How long a client may take less than 240 bytes a second of an answer that waits for it.",
        unit="seconds",
        flag=True,
    )
    max_connections: int = setting(0, whole(), "Most connections at a time; 0: no limit.", flag=True)
    cors_origins: str = setting(
        "",
        text,
        "Origins that browsers may call from, separated by commas; `*`: all.",
        flag="access_control_allow_origins",
        env=("AML_CORS_ORIGINS",),
        incumbent=True,
    )
    send_version: bool = setting(
        True,
        only_true,
        "`true`: answers carry x-ms-server-version. Otherwise HTTP_X_MS_SERVER_VERSION is sent when it is set.",
        env=("SERVER_VERSION_LOG_RESPONSE_ENABLED",),
    )
    version_header: str = setting(
        "", text, "x-ms-server-version when the server's own is off.", env=("HTTP_X_MS_SERVER_VERSION",)
    )


@dataclass(frozen=True)
class TelemetrySettings:
    """Logs, metrics and Application Insights."""

    log_level: str = setting(
        "INFO",
        text,
        "Lowest level that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
        env=("AZUREML_LOG_LEVEL", "AML_LOG_LEVEL"),
    )
    access_log: bool = setting(True, switch, "One line per request.", flag=True)
    metrics: bool = setting(True, switch, "The route /metrics.", flag=True)
    app_insights_enabled: bool = setting(
        False,
        read.exactly_true,
        "`true`: send telemetry to Application Insights; needs a valid key.",
        env=("AML_APP_INSIGHTS_ENABLED",),
    )
    app_insights_key: str = setting(
        "",
        text,
        "The instrumentation key; given as a flag it also turns Application Insights on.",
        flag="appinsights_instrumentation_key",
        env=("AML_APP_INSIGHTS_KEY",),
        secret=True,
        incumbent=True,
    )
    app_insights_log_response: bool = setting(
        True,
        switch,
        "Telemetry of a request holds the body of its answer.",
        env=("APP_INSIGHTS_LOG_RESPONSE_ENABLED", "AML_APP_INSIGHTS_LOG_RESPONSE_ENABLED"),
    )
    mdc_storage_enabled: bool = setting(
        False,
        switch,
        "Telemetry holds inputs and outputs of the model.",
        env=("AML_MDC_STORAGE_ENABLED", "AML_MODEL_DC_STORAGE_ENABLED"),
    )

    @property
    def level(self) -> str:
        """The level as the logging module knows it, a name or a number; INFO for what it does not know."""
        word = self.log_level.strip().upper()
        return word if word.isdigit() else LOG_LEVELS.get(word, "INFO")


@dataclass(frozen=True)
class SupervisorSettings:
    """Who watches the front."""

    supervisor: str = setting(
        "none" if WINDOWS else "gunicorn",
        read.one_of("none") if WINDOWS else read.one_of("gunicorn", "none"),
        "gunicorn restarts the front when it dies; none runs the front alone.",
        flag=True,
        default_text="`gunicorn`; `none` on Windows",
    )
    graceful_timeout: float = setting(
        30.0, read.number, "How long a stop waits for what was accepted.", unit="seconds", flag=True
    )
