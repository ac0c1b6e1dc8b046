"""The C library's allocator, told to keep the memory of large bodies instead of giving it back each time.

glibc hands a freed block of this size back to the system, which then fills fresh pages with zeros for the
next one: for a body of 600 KB that took more of a worker's time than decoding it.
"""

from __future__ import annotations

import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt's names for them
LARGEST = 16 * 1024 * 1024  # larger blocks still go back at once
KEPT = 64 * 1024 * 1024  # so much free memory a process may keep


def keep_memory() -> None:
    """For glibc alone, and not where the operator has tuned it (a MALLOC_… variable of glibc is set)."""
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST)
    mallopt(M_TRIM_THRESHOLD, KEPT)
