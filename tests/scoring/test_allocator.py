from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.tools import ROOT

FAULTS = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from inference_server.scoring.allocator import keep_memory
keep_memory()
body = bytes(600_000)
bytearray(body)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    text = str(bytearray(body), "latin-1")
    del text
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment: str) -> int:
    """Page faults of 200 bodies of 600 KB: each touches about 300 pages."""
    found = subprocess.run(
        [sys.executable, "-c", FAULTS, str(ROOT)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is found on Linux only")
def test_large_bodies_reuse_the_memory_of_those_before() -> None:
    assert faults() < 3000


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is found on Linux only")
def test_an_allocator_tuned_by_the_operator_is_left_alone() -> None:
    tuned = {"MALLOC_MMAP_THRESHOLD_": "100000", "MALLOC_TRIM_THRESHOLD_": "100000"}
    assert faults(**tuned) > 30000
