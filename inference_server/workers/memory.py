"""How much memory a process holds, and how much is free."""

from __future__ import annotations

import os

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_bytes(pid: int) -> int:
    """Bytes of physical memory; 0 where the system does not tell (it is asked through /proc)."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def free_bytes(root: str = "/") -> int | None:
    """Bytes of physical memory that can still be taken here, in a container within its limit; None: not known."""
    found = [value for value in (_available(root), _left_in_container(root)) if value is not None]
    return min(found, default=None)


def _available(root: str) -> int | None:
    try:
        with open(os.path.join(root, "proc/meminfo")) as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _left_in_container(root: str) -> int | None:
    """What a control group, of version 2 or 1, leaves. Files it has cached count as free."""
    for folder, limit, usage, cached in (
        ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        base = os.path.join(root, folder)
        try:
            with open(os.path.join(base, limit)) as file:
                most = file.read().strip()
            if not most.isdigit():
                return None  # `max`: no limit
            with open(os.path.join(base, usage)) as file:
                used = int(file.read())
            with open(os.path.join(base, "memory.stat")) as file:
                stat = dict(line.split() for line in file)
        except (OSError, ValueError):
            continue
        return max(0, int(most) - used + int(stat.get(cached, 0)))
    return None
