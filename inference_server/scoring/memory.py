"""How much memory this process holds, and the most it held since it was last asked. Bytes; 0: not known here."""

from __future__ import annotations

import sys

_KIB = 1024
_RESET_PEAK = "5"  # proc(5), clear_refs: the high-water mark falls to what is held now


def resident_bytes() -> int:
    """What is held now; where the system does not tell, the most that ever was."""
    return _status("VmRSS:") or peak_bytes()


def peak_bytes() -> int:
    """The most that was held since `forget_peak`, or since the start where that does nothing."""
    found = _status("VmHWM:")
    if found:
        return found
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB


def forget_peak() -> bool:
    """Count the peak anew from what is held now; False where that is not possible (it is on Linux)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write(_RESET_PEAK)
    except OSError:
        return False
    return True


def _status(name: str) -> int:
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(name):
                    return int(line.split()[1]) * _KIB
    except OSError:
        pass
    return 0
