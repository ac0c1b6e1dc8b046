"""What gunicorn's own configuration means here: which of its settings become ours, which stay, which are ours.

gunicorn supervises one process, the front; so what its users mean by «workers» is our model workers, and what it
says about connections is for the front. A flag or variable of ours wins over gunicorn's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_server.settings import DECLARED, BadSettings, Settings

FRONT_TIMEOUT = 60  # seconds without a heartbeat after which the front's loop counts as stuck
STOP_MARGIN = 3  # seconds the front has to end, after its own limit for finishing requests

# gunicorn's name: the setting it becomes when gunicorn's configuration sets it
MAPPED = {
    "workers": "workers.worker_count",
    "threads": "workers.threads",
    "max_requests": "workers.max_requests",
    "max_requests_jitter": "workers.max_requests_jitter",
    "keepalive": "http.keep_alive",
    "limit_request_line": "http.limit_request_line",
    "limit_request_fields": "http.limit_request_fields",
    "limit_request_field_size": "http.limit_request_field_size",
    "worker_connections": "http.max_connections",
    "graceful_timeout": "supervisor.graceful_timeout",
    "backlog": "listen.backlog",
    "certfile": "listen.certfile",
    "keyfile": "listen.keyfile",
    "ca_certs": "listen.ca_certs",
    "cert_reqs": "listen.cert_reqs",
    "ciphers": "listen.ciphers",
}

# What gunicorn does by itself, around the front. The hooks run in the supervisor and in the front.
KEPT = frozenset(
    [
        "config",
        "chdir",
        "pythonpath",
        "raw_env",
        "daemon",
        "pidfile",
        "user",
        "group",
        "umask",
        "initgroups",
        "worker_tmp_dir",
        "proc_name",
        "enable_stdio_inheritance",
        "print_config",
        "check_config",
        "on_starting",
        "when_ready",
        "pre_fork",
        "post_fork",
        "post_worker_init",
        "worker_int",
        "worker_abort",
        "pre_exec",
        "child_exit",
        "worker_exit",
        "nworkers_changed",
        "on_exit",
    ]
)

WORKER_CLASS = "inference_server.supervisor.front_worker.FrontWorker"
LOGGER_CLASS = "inference_server.supervisor.front_worker.SupervisorLog"


def taken_over(settings: Settings, explicit: Mapping[str, Any]) -> Settings:
    """The settings with what gunicorn's configuration sets explicitly, and a note on what it sets in vain."""
    changes: dict[str, Any] = {}
    for name, value in explicit.items():
        key = MAPPED.get(name)
        if key and key not in settings.given and value is not None:
            changes[key] = _read(name, key, value)
    settings = settings.changed(changes, source="gunicorn")
    in_vain = sorted(name for name in explicit if name not in MAPPED and name not in KEPT)
    if in_vain:
        settings = settings.noting(f"These settings of gunicorn have no effect here: {', '.join(in_vain)}.")
    return settings


def _read(name: str, key: str, value: Any) -> Any:
    try:
        return DECLARED[key].read(str(int(value) if isinstance(value, int) else value))
    except ValueError as error:
        raise BadSettings([f"gunicorn's configuration, {name}: {error}"], exit_code=1) from None


def forced(settings: Settings) -> dict[str, Any]:
    """The values gunicorn is run with whatever its configuration says."""
    bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in settings.listen.binds]
    return {
        "bind": bind,
        "backlog": settings.listen.backlog,
        "worker_class": WORKER_CLASS,
        "logger_class": LOGGER_CLASS,
        "workers": 1,
        "threads": 1,
        "max_requests": 0,
        "timeout": FRONT_TIMEOUT,
        "graceful_timeout": int(settings.supervisor.graceful_timeout) + STOP_MARGIN,
        "preload_app": False,
        "reload": False,
        "reuse_port": False,  # the supervisor keeps the listener while the front is replaced
        "certfile": settings.listen.certfile or None,
        "keyfile": settings.listen.keyfile or None,
        "default_proc_name": "azmlinfsrv",
        "control_socket_disable": True,
        "dirty_workers": 0,
        "dirty_apps": [],
        "errorlog": "-",
        "accesslog": None,
        "syslog": False,
        "logconfig": None,
        "logconfig_json": None,
        "logconfig_dict": {},
        "capture_output": False,
        "statsd_host": None,
    }
