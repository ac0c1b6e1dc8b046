"""What is tuned, what was measured, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass

from inference_server.load.figures import plural


@dataclass(frozen=True, order=True)
class Configuration:
    """The settings that are tried."""

    workers: int
    batch: int  # most rows in one run() call; 1: requests are not batched

    def __str__(self) -> str:
        return f"batch {self.batch}, {plural(self.workers, 'worker')}"


@dataclass(frozen=True)
class Point:
    """One configuration under the load of so many callers, each with a new request once it has its answer."""

    configuration: Configuration
    callers: int
    rate: float  # requests answered a second
    p50: float  # milliseconds
    p99: float
    memory: int  # bytes, most that the front and the workers have held; 0: not known
    worker_memory: int  # the same of the largest worker
    rows: float = 0.0  # mean of a run() call; 0: not known, or not batched


@dataclass(frozen=True)
class Budget:
    """What a configuration may cost."""

    latency_ms: float = 0.0  # of 99 in 100 requests; 0: any
    memory: int = 0  # bytes; 0: any

    def allows(self, point: Point) -> bool:
        """Whether `point` keeps to it."""
        return self.in_time(point) and self.in_memory(point.memory)

    def in_time(self, point: Point) -> bool:
        return not self.latency_ms or point.p99 <= self.latency_ms

    def in_memory(self, memory: int) -> bool:
        return not self.memory or memory <= self.memory
