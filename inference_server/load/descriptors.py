"""How many sockets the system lets one process have."""

from __future__ import annotations

_OTHERS = 64  # files that are open besides


def room_for(connections: int) -> bool:
    """Whether so many can be open at a time; the limit of this process is raised as far as it may be."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return True
    needed = connections + _OTHERS
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if now != unlimited and now < needed and (most == unlimited or now < most):
        now = needed if most == unlimited else min(needed, most)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
        except (OSError, ValueError):
            return False
    return now == unlimited or now >= needed
