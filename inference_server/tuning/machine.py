"""What the machine has, and how much memory the processes of a server have held."""

from __future__ import annotations

import os
import re
import subprocess

_PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_PARENT = re.compile(rb"^PPid:\s+(\d+)", re.MULTILINE)


def held(pid: int) -> dict[int, int]:
    """Bytes by process, for a process and all that descend from it: the most that was resident at a time since each
    began, or what is now where the system does not keep that. Pages that processes share count for each of them.
    Empty where none can be asked."""
    table = _from_proc() if os.path.isdir("/proc/self") else _from_ps()
    family, waiting = {}, [pid]
    while waiting:
        one = waiting.pop()
        if one in table:
            family[one] = table[one][1]
            waiting += [child for child, (parent, _) in table.items() if parent == one]
    return family


def _from_proc() -> dict[int, tuple[int, int]]:
    """Each process's parent and bytes."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/status", "rb") as file:
                status = file.read()
        except OSError:  # it has ended meanwhile
            continue
        parent, peak = _PARENT.search(status), _PEAK.search(status)
        if parent and peak:
            table[int(name)] = (int(parent[1]), int(peak[1]) * 1024)
    return table


def _from_ps() -> dict[int, tuple[int, int]]:
    try:
        answer = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = [line.split() for line in answer.stdout.splitlines()]
    return {int(row[0]): (int(row[1]), int(row[2]) * 1024) for row in rows if len(row) == 3}


def available() -> int:
    """Bytes that this machine, or the container this runs in, has for a server; 0: not known."""
    found = [value for value in (_free(), _container_limit()) if value]
    return min(found, default=0)


def _free() -> int:
    try:
        with open("/proc/meminfo", "rb") as file:
            match = re.search(rb"^MemAvailable:\s+(\d+) kB", file.read(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def _container_limit() -> int:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                text = file.read().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:  # a limit of nearly 2**63 means none
            return int(text)
    return 0


def processors() -> int:
    """Processors this process may use, a container's share of them counted."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        return count
    return count if quota == "max" else max(1, min(count, round(int(quota) / int(period))))
