"""What a pool must know to start workers and to judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inference_server.scoring.config import ScoringConfig


@dataclass(frozen=True)
class PoolSpec:
    """One deployment's workers. Times in seconds."""

    config: ScoringConfig
    python: str  # the interpreter of the model's environment
    environment: Mapping[str, str] = field(default_factory=dict)  # the workers' whole environment
    worker_count: int = 1
    channel: str = "socketpair"  # or "tcp"
    preload: bool = False
    scoring_timeout: float = 3600.0
    worker_timeout: float = 300.0  # a worker busy longer on one request is killed; 0: never
    stall_grace: float = 2.0  # how long run() may ignore the scoring timeout before its worker is killed
    boot_timeout: float = 0.0  # for import and init(); 0: none
    max_requests: int = 0  # a worker is replaced after so many; 0: never
    max_requests_jitter: int = 0
    max_worker_rss: int = 0  # bytes; a larger worker is replaced; 0: no limit
