"""All settings of one server, read and checked, in one frozen record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inference_server import __version__
from inference_server.scoring.config import FOR_EVER, ScoringConfig
from inference_server.settings.batch import BatchSettings
from inference_server.settings.declare import Declared, declarations
from inference_server.settings.develop import DevelopSettings
from inference_server.settings.devices import chosen
from inference_server.settings.environments import EnvironmentSettings
from inference_server.settings.groups import (
    HttpSettings,
    ListenSettings,
    QueueSettings,
    ScriptSettings,
    ServiceSettings,
    SupervisorSettings,
    TelemetrySettings,
    WorkerSettings,
)
from inference_server.settings.platform import PlatformSettings
from inference_server.settings.recording import RecordingSettings
from inference_server.settings.secrets import SecretSettings
from inference_server.settings.storage import StorageSettings

SECTIONS: dict[str, type[Any]] = {
    "script": ScriptSettings,
    "service": ServiceSettings,
    "listen": ListenSettings,
    "workers": WorkerSettings,
    "environments": EnvironmentSettings,
    "queue": QueueSettings,
    "batch": BatchSettings,
    "http": HttpSettings,
    "telemetry": TelemetrySettings,
    "recording": RecordingSettings,
    "develop": DevelopSettings,
    "secrets": SecretSettings,
    "supervisor": SupervisorSettings,
    "storage": StorageSettings,
    "platform": PlatformSettings,
}
DECLARED: dict[str, Declared] = {
    declared.key: declared for section, group in SECTIONS.items() for declared in declarations(section, group)
}
LOGGING_FILE = "logging.json"


@dataclass(frozen=True)
class Settings:
    """One record a room; each room is handed its own. Made by `load`, or with all defaults by `Settings()`."""

    script: ScriptSettings = field(default_factory=ScriptSettings)
    service: ServiceSettings = field(default_factory=ServiceSettings)
    listen: ListenSettings = field(default_factory=ListenSettings)
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    environments: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    develop: DevelopSettings = field(default_factory=DevelopSettings)
    secrets: SecretSettings = field(default_factory=SecretSettings)
    supervisor: SupervisorSettings = field(default_factory=SupervisorSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    platform: PlatformSettings = field(default_factory=PlatformSettings)
    given: Mapping[str, str] = field(default_factory=dict)  # where each value that is not a default came from
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # the server's own, alive
    config_path: str | None = None  # the configuration file that was read
    notes: tuple[str, ...] = ()  # warnings to log at the start
    key_lines: tuple[str, ...] = ()  # what the start says about the Application Insights key

    def changed(self, values: Mapping[str, Any], source: str = "") -> Settings:
        """A copy with other values, by `section.name`. A `source` is noted as where they came from."""
        groups: dict[str, dict[str, Any]] = {}
        for key, value in values.items():
            section, name = key.split(".")
            groups.setdefault(section, {})[name] = value
        changes: dict[str, Any] = {
            section: replace(getattr(self, section), **changes) for section, changes in groups.items()
        }
        given = {**self.given, **dict.fromkeys(values, source)} if source else self.given
        return replace(self, **changes, given=given)

    def noting(self, note: str) -> Settings:
        """A copy with one more warning for the start."""
        return replace(self, notes=(*self.notes, note))

    @property
    def logging_config(self) -> str | None:
        """The user's logging.json: in the app root, else beside the script; None: there is none."""
        folders = [self.script.app_root]
        if self.script.path:
            folders.append(os.path.dirname(self.script.path))
        candidates = (os.path.join(folder, LOGGING_FILE) for folder in folders)
        return next((path for path in candidates if os.path.isfile(path)), None)

    @property
    def server_version(self) -> str:
        """What x-ms-server-version carries; empty: the header is not sent."""
        return f"azmlinfsrv/{__version__}" if self.http.send_version else self.http.version_header

    @property
    def shown_health_port(self) -> str:
        """The port health answers on, as it is printed and exported in HEALTH_PORT."""
        if self.listen.separate_health:
            return str(self.listen.health_port)
        if self.given.get("listen.port"):
            return str(self.listen.port)
        return self.environment.get("HEALTH_PORT") or str(self.listen.port)

    def scoring_config(self) -> ScoringConfig:
        """What a worker is told when it starts."""
        return ScoringConfig(
            entry_script=self.script.path,
            app_root=os.path.abspath(self.script.app_root),
            source_dir=self.script.source_dir,
            model_dir=self.script.model_dir,
            scoring_timeout_ms=self.script.scoring_timeout_ms,
            threads=self.workers.threads,
            max_body_bytes=self.http.max_body_bytes,
            service_name=self.service.service_name,
            service_version=self.service.service_version,
            service_path_prefix=self.service.service_path_prefix,
            workspace_name=self.service.workspace_name,
            hostname=self.service.hostname,
            log_level=self.telemetry.level,
            logging_config=self.logging_config,
            app_insights_enabled=self.telemetry.app_insights_enabled,
            app_insights_log_response=self.telemetry.app_insights_log_response,
            mdc_storage_enabled=self.telemetry.mdc_storage_enabled,
            tells_failures=bool(self.recording.record),
            development=self.develop.shows_errors,
            reload=self.develop.reload,
            debug_port=self.script.debug_port,
            debug=self.develop.debugs,
            debug_wait=FOR_EVER if self.develop.debug_wait else 0.0,
            server_version=self.server_version,
            max_batch_size=self.batch.rows,
            max_batch_bytes=self.batch.max_batch_bytes,
            batching=self.batch.batching,
            batch_proof=self.batch.batch_proof,
            batch_reexecution=self.batch.batch_reexecution,
            proof_dir=self.batch.proof_dir,
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """What the workers get as CUDA_VISIBLE_DEVICES, in turn; (): nothing is set."""
        return chosen(self.batch.devices, self.environment)

    def worker_environment(self) -> dict[str, str]:
        """The whole environment of a worker: the server's own, with what scripts expect the server to leave there.

        A flag is exported under its variable; a value of the configuration file is not. AZUREML_MODEL_DIR stays
        unset when nobody set it, so that a default in the script works.
        """
        result = dict(self.environment)
        for name in DECLARED["secrets.secrets_passphrase"].env:
            result.pop(name, None)  # it opens more than what this script may know
        for key in ("script.entry_script", "script.model_dir", "script.config_file", "http.cors_origins"):
            if self.given.get(key) == "flag":
                result[DECLARED[key].env[0]] = _value(self, key)
        if self.given.get("telemetry.app_insights_key") == "flag":
            result["AML_APP_INSIGHTS_KEY"] = self.telemetry.app_insights_key
        result["AML_APP_ROOT"] = self.script.app_root
        result["SERVER_PORT"] = str(self.listen.port)
        result["HEALTH_PORT"] = self.shown_health_port
        result["WORKER_COUNT"] = str(self.workers.worker_count)
        result["TRANSPORT_PROTOCOL"] = "rest" if self.script.rest else "grpc"
        result["AML_APP_INSIGHTS_ENABLED"] = "true" if self.telemetry.app_insights_enabled else "false"
        if self.http.send_version:
            result["HTTP_X_MS_SERVER_VERSION"] = self.server_version
        return result


def _value(settings: Settings, key: str) -> str:
    section, name = key.split(".")
    return str(getattr(getattr(settings, section), name))
