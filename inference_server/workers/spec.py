"""What a pool must know to start workers and to judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from inference_server.scoring.config import ScoringConfig
from inference_server.secrets.environment import WorkerSecrets


class ModelEnvironment(Protocol):
    """What has an interpreter with all that the script needs, or makes one."""

    doing: str  # one line for people while it is made; "" when it is done
    files: tuple[str, ...]  # that say what it holds

    async def ready(self) -> str:
        """The path of the interpreter, once there is one. Raises StartError."""

    async def renew(self) -> str:
        """The same for what the files say now. Raises StartError; then `ready` goes on as before."""


@dataclass(frozen=True)
class PoolSpec:
    """One deployment's workers. Times in seconds."""

    config: ScoringConfig
    python: str  # the interpreter of the model's environment
    model_environment: ModelEnvironment | None = None  # what makes it, where `python` does not name it
    environment: Mapping[str, str] = field(default_factory=dict)  # the workers' whole environment
    secrets: WorkerSecrets | None = None  # what it only refers to; None: nothing
    worker_count: int = 1
    attach: tuple[str, int] | None = None  # where editors attach to the first worker; None: to none
    drain_first: bool = False  # in a reload the old worker leaves before the new one starts
    channel: str = "socketpair"  # or "tcp"
    preload: bool = False
    scoring_timeout: float = 3600.0
    worker_timeout: float = 300.0  # a worker busy longer on one request is killed; 0: never
    stall_grace: float = 2.0  # how long run() may ignore the scoring timeout before its worker is killed
    boot_timeout: float = 0.0  # for import and init(); 0: none
    max_requests: int = 0  # a worker is replaced after so many; 0: never
    max_requests_jitter: int = 0
    max_worker_rss: int = 0  # bytes; a larger worker is replaced; 0: no limit
    max_queue_delay: float = 0.0  # how long a batch that is not full may wait for more
    devices: tuple[str, ...] = ()  # CUDA_VISIBLE_DEVICES of the workers, in turn; (): as in `environment`

    @property
    def batches(self) -> bool:
        """Whether a worker may run several requests together."""
        return self.config.max_batch_size > 1

    @property
    def debugged(self) -> bool:
        """Whether a breakpoint may hold run() up: then no deadline holds."""
        return self.config.debug or bool(self.config.debug_port)

    def environment_of(self, number: int) -> dict[str, str]:
        """The environment of worker `number`, from 1; 0: of the process that all are forked from."""
        environment = dict(self.environment)
        if self.secrets is not None:
            environment = self.secrets.put_into(environment)
        if not self.devices:
            return environment
        device = self.devices[(number - 1) % len(self.devices)] if number else ",".join(self.devices)
        return {**environment, "CUDA_VISIBLE_DEVICES": device}
