"""Every setting of the server: declared once, read once, handed on as frozen records.

`load()` is the only reader of the environment. A value given by flag wins over one given by variable, that over
the JSON configuration file, that over the default.
"""

from inference_server.settings.batch import BatchSettings
from inference_server.settings.declare import Declared
from inference_server.settings.develop import DevelopSettings
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
from inference_server.settings.load import load
from inference_server.settings.platform import PlatformSettings
from inference_server.settings.problems import BadSettings
from inference_server.settings.record import DECLARED, SECTIONS, Settings
from inference_server.settings.recording import RecordingSettings
from inference_server.settings.secrets import SecretSettings, store_path
from inference_server.settings.storage import StorageSettings

__all__ = [
    "DECLARED",
    "SECTIONS",
    "BadSettings",
    "BatchSettings",
    "Declared",
    "DevelopSettings",
    "EnvironmentSettings",
    "HttpSettings",
    "ListenSettings",
    "PlatformSettings",
    "QueueSettings",
    "RecordingSettings",
    "ScriptSettings",
    "SecretSettings",
    "ServiceSettings",
    "Settings",
    "StorageSettings",
    "SupervisorSettings",
    "TelemetrySettings",
    "WorkerSettings",
    "load",
    "store_path",
]
