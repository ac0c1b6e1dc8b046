"""What the system says of memory and processors."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from inference_server.tuning import machine

MIB = 1024**2


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="the system keeps no peaks")
def test_the_peak_of_a_process_and_its_children_is_known() -> None:
    code = "x = bytearray(64 << 20); del x; print(flush=True); input()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = machine.held(process.pid)
        process.communicate(b"\n")
    assert len(held) == 2
    assert process.pid in held
    assert max(held.values()) > 64 * MIB
    assert machine.held(process.pid) == {}


def test_the_machine_has_memory_and_processors() -> None:
    assert machine.available() > 16 * MIB
    assert 1 <= machine.processors() <= (os.cpu_count() or 1)
