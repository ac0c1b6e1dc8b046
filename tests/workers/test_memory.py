"""How much memory is free, on a machine and in a container; whether a second copy of a model fits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_server.workers.memory import free_bytes, resident_bytes
from inference_server.workers.reload import no_room

MIB = 1024 * 1024


def write(root: Path, files: dict[str, object]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return str(root)


def test_a_process_holds_something_and_something_is_free_here() -> None:
    if not os.path.exists("/proc/meminfo"):
        pytest.skip("this system has no /proc")
    assert resident_bytes(os.getpid()) > MIB
    free = free_bytes()
    assert free is not None
    assert free > 0


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        ({"proc/meminfo": "MemTotal: 99 kB\nMemAvailable: 10 kB"}, 10240),
        (
            {
                "sys/fs/cgroup/memory.max": 1000,
                "sys/fs/cgroup/memory.current": 900,
                "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 50",
            },
            150,
        ),
        ({"sys/fs/cgroup/memory.max": "max", "proc/meminfo": "MemAvailable: 1 kB"}, 1024),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": 1000,
                "sys/fs/cgroup/memory/memory.usage_in_bytes": 2000,
                "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 5",
            },
            0,
        ),
    ],
)
def test_the_smaller_of_machine_and_container_counts(
    tmp_path: Path, files: dict[str, object], free: int | None
) -> None:
    assert free_bytes(write(tmp_path, files)) == free


def test_a_copy_that_does_not_fit_is_refused_with_the_way_out() -> None:
    assert no_room(100 * MIB, None) == ""
    assert no_room(100 * MIB, 200 * MIB) == ""
    said = no_room(100 * MIB, 60 * MIB)
    assert "100 MiB" in said
    assert "60 MiB are free" in said
    assert "--reload_mode drain" in said
