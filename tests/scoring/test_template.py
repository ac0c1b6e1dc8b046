"""When a process that has loaded a script may be forked."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.scoring.driving import ROOT

REASON = "init() uses CUDA, which does not survive a fork; unset WORKER_PRELOAD"


def reason(code: str, folder: Path) -> str:
    """What `why_not_fork` says after `code`, in a process of its own: other tests' threads are no reason."""
    lines = [
        "from inference_server.scoring import template",
        textwrap.dedent(code),
        "print(template.why_not_fork())",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("used", [False, True])
def test_torch_says_whether_it_uses_cuda(used: bool, tmp_path: Path) -> None:
    code = f"""
        import sys, types
        torch = sys.modules["torch"] = types.ModuleType("torch")
        torch.cuda = types.SimpleNamespace(is_initialized=lambda: {used})
    """
    assert reason(code, tmp_path) == (REASON if used else "None")


@pytest.mark.parametrize("device", ["/dev/nvidiactl", "/dev/nvidia0", "/dev/null"])
def test_an_open_device_says_so_whoever_opened_it(device: str, tmp_path: Path) -> None:
    (tmp_path / "0").symlink_to("socket:[1]")
    (tmp_path / "1").write_text("no link")
    (tmp_path / "2").symlink_to(device)
    found = reason(f"template.DESCRIPTORS = {str(tmp_path / '*')!r}", tmp_path)
    assert found == ("None" if device == "/dev/null" else REASON)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not list descriptors")
def test_what_the_process_has_open_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "device").touch()
    path = os.path.realpath(tmp_path / "device")
    assert reason(f"template.DEVICES = {path!r}", tmp_path) == "None"
    assert reason(f"template.DEVICES = {path!r}; held = open({path!r})", tmp_path) == REASON
