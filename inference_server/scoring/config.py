"""What a worker is told when it starts."""

from __future__ import annotations

import json
from typing import Any, Dict, NamedTuple, Optional

FOR_EVER = -1.0


class ScoringConfig(NamedTuple):
    """All a worker needs to know. Crosses the channel as JSON; every field has a safe default."""

    entry_script: Optional[str] = None  # absolute path; None: `import main`
    app_root: str = "."
    source_dir: Optional[str] = None
    model_dir: str = ""
    scoring_timeout_ms: int = 3600000
    threads: int = 1  # run() calls at a time; 1 unless the user asked for more
    max_body_bytes: int = 0  # limit after inflating; 0: none
    service_name: str = "ML service"
    service_version: str = "1.0"
    service_path_prefix: str = ""
    workspace_name: str = ""
    hostname: str = "Unknown"
    log_level: str = "INFO"
    logging_config: Optional[str] = None  # path of logging.json
    app_insights_enabled: bool = False  # log records also cross to the front's exporters
    app_insights_log_response: bool = True
    mdc_storage_enabled: bool = False
    tells_failures: bool = False  # why and where run() raised also crosses to the front, which records it
    development: bool = False  # error answers carry location and traceback
    reload: bool = False  # the script is loaded anew whenever its files change
    debug_port: Optional[int] = None  # where a debugger listens; the worker connects and waits for it
    debug: bool = False  # debugpy listens on a free port of the loopback, which the front is told
    debug_wait: float = 0.0  # seconds that the script's loading waits for an editor to attach, or FOR_EVER
    server_version: str = ""
    max_batch_size: int = 1  # rows of one run() call; more than 1 switches batching on
    max_batch_bytes: int = 64 * 1024 * 1024  # of the bodies that are taken at a time
    batching: str = "auto"  # which way: auto, run_batch, rows or off
    batch_proof: bool = True  # rows are merged only once answers were compared
    batch_reexecution: bool = True  # a batch that fails is run again in parts
    proof_dir: str = ""  # where mismatches are kept; "": a folder in the system's temporary one

    def to_json(self) -> bytes:
        return json.dumps(self._asdict()).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ScoringConfig:
        fields: Dict[str, Any] = json.loads(data)
        return cls(**{name: value for name, value in fields.items() if name in cls._fields})
